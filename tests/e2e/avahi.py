"""Real avahi-daemons on the machines of a network (networks.py), each with a system bus of its own. Nothing of this machine's bus and daemon is touched.

    with Bus(folder / "bus") as bus, AvahiDaemon(machine.node, bus) as daemon:
        daemon.browse("_lode._tcp")

The files that avahi-daemon wants below /run are on a tmpfs that it alone sees.
"""

import pathlib
import shutil
import signal
import socket
import subprocess

import pytest
from conftest import MARK, eventually

# What is allowed on it is what is allowed on Debian's: little, and what avahi-daemon adds to that.
BUS_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
  </policy>
  <include>/usr/share/dbus-1/system.d/avahi-dbus.conf</include>
</busconfig>
"""

# What avahi-daemon goes through: an empty /run, but for the folder that holds its socket and its number.
ENTER = 'mount -t tmpfs tmpfs /run && exec "$@"'

STOP_SECONDS_MAX = 60


def environment_of(folder):
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", MARK: str(folder)}


def require_programs():
    for name in ("dbus-daemon", "avahi-daemon", "avahi-browse"):
        if not shutil.which(name, path="/usr/sbin:/usr/bin"):
            pytest.fail(f"{name} is not installed: ./dev setup check")


class Server:
    """A program that a test starts, stops, kills and starts again."""

    process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _run(self, words, environment, is_up, about):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(lambda: self._is_up(is_up), about=about)
        return self

    def _is_up(self, is_up):
        if self.process.poll() is not None:
            pytest.fail(f"{self.process.args} ended with {self.process.returncode}:\n{self.log_path.read_text(errors='replace')}")
        return is_up()

    def end(self, number):
        """Sends the signal and awaits the end."""
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS_MAX)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.end(signal.SIGTERM)

    def freeze(self):
        """It hangs from now on: what is written to its sockets is taken by the kernel, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class Bus(Server):
    """A D-Bus that is a machine's system bus for who has `environment`."""

    def __init__(self, folder):
        require_programs()
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / "socket"
        self.log_path = self.folder / "bus.log"
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.socket}"}
        (self.folder / "bus.conf").write_text(BUS_CONFIGURATION.format(socket=self.socket))

    def start(self):
        self.socket.unlink(missing_ok=True)
        words = ["dbus-daemon", f"--config-file={self.folder / 'bus.conf'}", "--nofork", "--nopidfile"]
        return self._run(words, environment_of(self.folder), self._answers, "the bus")

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0


class AvahiDaemon(Server):
    """An avahi-daemon on a machine. `settings` are lines for sections of its configuration: server=["disallow-other-stacks=yes"]."""

    def __init__(self, node, bus, **settings):
        self.node = node
        self.bus = bus
        self.log_path = bus.folder / "avahi.log"
        self.configuration = bus.folder / "avahi.conf"
        lines = {"server": [f"host-name={node.namespace}"], "publish": []}
        for section, more in settings.items():
            lines.setdefault(section, []).extend(more)
        self.configuration.write_text("".join(f"[{section}]\n" + "\n".join(of_section) + "\n" for section, of_section in lines.items()))
        self.environment = {**environment_of(bus.folder), **bus.environment}

    def start(self):
        words = [*self.node.prefix, "unshare", "--mount", "sh", "-euc", ENTER, "sh", "avahi-daemon", f"--file={self.configuration}", "--no-drop-root",
                 "--no-chroot", "--no-rlimits", "--no-proc-title"]
        return self._run(words, self.environment, self._answers, "the avahi-daemon")

    def _answers(self):
        """It has claimed its host name: only then does it take records."""
        asked = subprocess.run(
            ["dbus-send", "--system", "--print-reply=literal", "--dest=org.freedesktop.Avahi", "/", "org.freedesktop.Avahi.Server.GetState"],
            env=self.environment, capture_output=True, text=True, check=False)
        return asked.returncode == 0 and asked.stdout.split() == ["int32", "2"]

    def browse(self, service="_lode._tcp"):
        """What it knows of a kind of service, as avahi-browse tells it: [{interface, protocol, label, host, address, port, txt}]."""
        words = [*self.node.prefix, "avahi-browse", "--resolve", "--terminate", "--parsable", "--no-db-lookup", service]
        told = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=True, timeout=STOP_SECONDS_MAX)
        names = ("interface", "protocol", "label", "type", "domain", "host", "address", "port", "txt")
        return [dict(zip(names, line.split(";")[1:], strict=True)) for line in told.stdout.splitlines() if line.startswith("=")]
