"""Sites and hubs as real processes: who joins, who is how, whose log is where, and what happens when one lies, stays away or forgets."""

import base64
import concurrent.futures
import contextlib
import datetime
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import ssl
import subprocess
import threading

import pytest
from conftest import eventually


def test_a_site_joins_a_hub_and_both_see_each_other(federation):
    hub = federation.hub("hub")
    ocean = federation.site("ocean")
    said = ocean.add_hub(hub).stdout
    assert hub.fingerprint in said
    pending = hub.sites()["ocean"]
    assert pending["standing"] == "pending" and pending["fingerprint"] == ocean.fingerprint
    eventually(lambda: hub.sites()["ocean"]["state"] == "up", about="the first heartbeat")
    hub("sites", "accept", "ocean")
    assert hub.sites()["ocean"]["standing"] == "member"
    eventually(lambda: ocean.hubs()["hub"]["standing_there"] == "member", about="the word of the hub")
    seen = ocean.sites()["hub"]
    assert seen["is_hub"] and seen["is_our_hub"] and seen["state"] == "up" and seen["url"] == hub.url
    assert ocean.hubs()["hub"]["problem"] is None


def serial(member):
    """How far the member's own log is, by its own signed word."""
    return json.loads(member.peer_call("GET", "/v1/federation/poll?epoch=1&after=0").body.splitlines()[0])["serial"]


def has_log(hub, member, at_least=1):
    """Has the hub all of the member's log?"""
    seen = hub.sites().get(member.name)
    return seen and seen["serial"] >= at_least and seen["serial"] == serial(member)


@pytest.mark.parametrize("mode", ["push", "poll", "both"])
def test_a_log_gets_to_the_hub_in_every_mode_and_catches_up_after_an_outage(federation, mode):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_data("t:first")
    ocean.add_hub(hub, "--mode", mode)
    assert hub.sites()["ocean"]["standing"] == "member"
    eventually(lambda: has_log(hub, ocean), about="the log at the hub")
    hub.kill()
    ocean.add_data("t:second")
    hub.start()
    eventually(lambda: has_log(hub, ocean, 2), about="the rest of the log at the hub")
    eventually(lambda: hub.sites()["ocean"]["state"] == "up", about="the site at the hub")
    if mode != "poll":
        eventually(lambda: ocean.hubs()["hub"]["is_current"], about="the hub's word on that")


def test_a_hub_says_how_it_keeps_in_step(federation):
    hub = federation.hub("hub", "--hub-mode", "poll")
    ocean = federation.site("ocean")
    refused = ocean.add_hub(hub, "--mode", "push", status=1).stderr
    assert "by poll only" in refused and "--mode poll" in refused
    assert ocean.hubs() == {}
    far = federation.site("far", "--address", "0.0.0.0:0", "--no-announce")
    refused = far.add_hub(hub, "--mode", "poll", status=1).stderr
    assert "no URL" in refused and "--url" in refused


def test_a_site_that_is_silent_is_stale_then_down_and_never_forgotten(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_hub(hub)
    eventually(lambda: hub.sites()["ocean"]["state"] == "up", about="the first heartbeat")
    ocean.kill()
    eventually(lambda: hub.sites()["ocean"]["state"] == "stale", about="stale")
    eventually(lambda: hub.sites()["ocean"]["state"] == "down", 60, about="down")
    hub.stop()
    hub.start()
    assert hub.sites()["ocean"]["state"] == "down" and hub.sites()["ocean"]["standing"] == "member"
    assert hub.sites()["ocean"]["heard_seconds"] >= 1
    ocean.start()
    eventually(lambda: hub.sites()["ocean"]["state"] == "up", about="its return")


def test_heartbeats_write_nothing(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_data("t:first")
    ocean.add_hub(hub, "--mode", "both")
    eventually(lambda: has_log(hub, ocean), about="the log at the hub")

    def heartbeat():
        return json.loads(hub.peer_call("GET", f"/v1/federation/sites/{ocean.fingerprint}").body)["heartbeat"]["time"]

    first = heartbeat()
    eventually(lambda: heartbeat() != first, about="a heartbeat")
    before = [os.stat(site.directory / f"lode.db{end}").st_mtime_ns for site in (hub, ocean) for end in ("", "-wal")]
    seen = {first}
    eventually(lambda: seen.add(heartbeat()) or len(seen) > 5, about="more heartbeats")
    after = [os.stat(site.directory / f"lode.db{end}").st_mtime_ns for site in (hub, ocean) for end in ("", "-wal")]
    assert before == after


def test_hubs_mirror_each_other_and_a_new_one_catches_up(federation):
    first = federation.hub("first", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_data("t:first")
    ocean.add_hub(first)
    eventually(lambda: has_log(first, ocean), about="the log at the first hub")
    second = federation.hub("second", "--join", "open")
    second.add_hub(first)
    eventually(lambda: has_log(second, ocean), about="the log at the second hub")
    seen = second.sites()["ocean"]
    assert seen["is_vouched"] and seen["standing"] == "unknown" and seen["fingerprint"] == ocean.fingerprint
    eventually(lambda: second.sites()["ocean"]["state"] == "up", about="a heartbeat by way of the first hub")
    ocean.add_data("t:second")
    eventually(lambda: has_log(second, ocean, 2), about="the change at the second hub")
    # The first one follows the second too, as a member that is a hub: what only the second knows gets to the first.
    desert = federation.site("desert")
    desert.add_data("t:third")
    desert.add_hub(second)
    eventually(lambda: has_log(first, desert), about="the log of the other hub's site")
    first.kill()
    desert.add_data("t:fourth")
    eventually(lambda: has_log(second, desert, 2), about="the change while the first hub is dead")
    first.start()
    eventually(lambda: has_log(first, desert, 2), about="the first hub's return")


@pytest.mark.parametrize("mode", ["push", "poll"])
def test_a_site_restored_from_an_old_backup_begins_a_new_epoch(federation, mode):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_data("t:kept")
    ocean.add_hub(hub, "--mode", mode)
    eventually(lambda: has_log(hub, ocean), about="the log at the hub")
    ocean.stop()
    shutil.copytree(ocean.directory, federation.folder / "backup")
    ocean.start()
    ocean.add_data("t:lost")
    eventually(lambda: has_log(hub, ocean, 2), about="the second entry at the hub")
    ocean.stop()
    shutil.rmtree(ocean.directory)
    shutil.copytree(federation.folder / "backup", ocean.directory)
    ocean.start()
    eventually(lambda: hub.sites()["ocean"]["epoch"] == 2, about="the next epoch")
    eventually(lambda: has_log(hub, ocean), about="the log of the next epoch")
    assert "restored from an old backup" in ocean.log
    eventually(lambda: hub.sites()["ocean"]["problem"] is None, about="the end of the problem")


@pytest.mark.parametrize("mode", ["push", "poll"])
def test_a_restored_site_whose_log_went_on_elsewhere_begins_a_new_epoch(federation, mode):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_data("t:kept")
    ocean.stop()
    shutil.copytree(ocean.directory, federation.folder / "backup")
    ocean.start()
    ocean.add_data("t:lost")
    ocean.add_hub(hub, "--mode", mode)
    eventually(lambda: has_log(hub, ocean, 2), about="the log at the hub")
    ocean.stop()
    hub.stop()
    shutil.rmtree(ocean.directory)
    shutil.copytree(federation.folder / "backup", ocean.directory)
    ocean.start()
    ocean.add_hub(hub, "--mode", mode, status=1)  # It is away; but the backup was made before it was added.
    for number in range(3):
        ocean.add_data(f"t:other-{number}")
    hub.start()
    ocean.add_hub(hub, "--mode", mode)
    eventually(lambda: hub.sites()["ocean"]["epoch"] == 2, 60, about="the next epoch")
    eventually(lambda: has_log(hub, ocean, 4), about="the log of the next epoch")
    assert hub.sites()["ocean"]["problem"] is None


def chain(*entries):
    head = bytes(32)
    for entry in entries:
        head = hashlib.sha256(head + hashlib.sha256(canonical(entry)).digest()).digest()
    return "sha256:" + head.hex()


def test_a_rewritten_log_is_refused_and_shown_until_a_batch_fits(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_data("t:first")
    ocean.add_hub(hub)
    eventually(lambda: has_log(hub, ocean), about="the log at the hub")
    count = hub.sites()["ocean"]["serial"]
    lines = [json.loads(line) for line in hub.peer_call("GET", f"/v1/federation/logs/{ocean.fingerprint}?epoch=0&after=0").body.splitlines()]
    head = lines[0]
    entries = [line for line in lines if line["kind"] != "head"]
    altered = [*entries[:-1], resigned(ocean, entries[-1], title="another")]
    rewritten = resigned(ocean, head, serial=count, head=chain(*altered))

    def push(*statements):
        return hub.peer_call("POST", f"/v1/federation/logs/{ocean.fingerprint}", b"".join(canonical(each) + b"\n" for each in statements), by=ocean)

    answer = push(rewritten, *altered)
    assert answer.code == 422 and f"serial {count}" in answer.json["detail"], answer
    assert answer.json["serial"] == count and answer.json["head"] == chain(*entries)
    seen = hub.sites()["ocean"]
    assert "ocean" in seen["problem"] or ocean.fingerprint[:23] in seen["problem"]
    assert seen["serial"] == count and seen["state"] == "up"
    # An entry that the chain does not lead to, a gap, the log of somebody unknown.
    more = resigned(ocean, entries[-1], serial=count + 1)
    assert push(resigned(ocean, head, serial=count + 1, head="sha256:" + "1" * 64), more).code == 422
    answer = push(resigned(ocean, head, serial=count + 2, head="sha256:" + "1" * 64), resigned(ocean, more, serial=count + 2))
    assert answer.code == 409 and answer.json["serial"] == count
    unknown = hub.peer_call("POST", f"/v1/federation/logs/{hub.fingerprint}", b"", by=ocean)
    assert unknown.code == 404
    ocean.add_data("t:second")
    eventually(lambda: has_log(hub, ocean, count + 1), about="the next entry at the hub")
    assert hub.sites()["ocean"]["problem"] is None


def test_a_hub_restored_from_an_old_backup_is_simply_behind(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_data("t:first")
    ocean.add_hub(hub)
    eventually(lambda: has_log(hub, ocean), about="the log at the hub")
    hub.stop()
    shutil.copytree(hub.directory, federation.folder / "backup")
    hub.start()
    ocean.add_data("t:second")
    eventually(lambda: has_log(hub, ocean, 2), about="the second entry at the hub")
    hub.stop()
    shutil.rmtree(hub.directory)
    shutil.copytree(federation.folder / "backup", hub.directory)
    hub.start()
    eventually(lambda: has_log(hub, ocean, 2), about="the second entry at the hub again")
    assert hub.sites()["ocean"]["epoch"] == 1 and hub.sites()["ocean"]["problem"] is None


def test_a_hub_that_lost_everything_but_its_key_is_announced_to_again(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_data("t:first")
    ocean.add_hub(hub)
    eventually(lambda: has_log(hub, ocean), about="the log at the hub")
    hub.stop()
    for path in hub.directory.glob("lode.db*"):
        path.unlink()
    shutil.rmtree(hub.directory / "index", ignore_errors=True)
    hub.start()
    eventually(lambda: has_log(hub, ocean), about="the log at the hub again")


def test_another_key_of_a_hub_is_refused(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_hub(hub)
    hub.stop()
    for name in ("key.pem", "certificate.pem"):
        (hub.directory / name).unlink()
    hub.start()
    problem = eventually(lambda: [each for each in [ocean.hubs()["hub"]["problem"]] if each and "key" in each], about="the refusal of the key")[0]
    assert "not the one that was accepted" in problem and "lode hub remove" in problem
    refused = ocean("hub", "add", hub.url, "--pin", "sha256:" + "0" * 64, status=1).stderr
    assert "has the key" in refused
    # The way out.
    ocean("hub", "remove", ocean.hubs()["hub"]["fingerprint"])
    ocean.add_hub(hub)
    eventually(lambda: ocean.hubs()["hub"]["standing_there"] == "member", about="the hub with its new key")


def test_another_key_under_the_name_of_a_member_is_refused_and_reported_at_both_ends(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_hub(hub)
    before = ocean.fingerprint
    ocean.stop()
    for name in ("key.pem", "certificate.pem"):
        (ocean.directory / name).unlink()
    ocean.start()
    assert ocean.fingerprint != before
    problem = eventually(lambda: ocean.hubs()["hub"]["problem"], about="the refusal")
    assert "another key" in problem and "lode sites deny" in problem
    seen = hub.sites()["ocean"]
    assert seen["fingerprint"] == before and ocean.fingerprint in seen["problem"] and "lode sites deny" in seen["problem"]
    hub("sites", "deny", before)
    eventually(lambda: ocean.hubs()["hub"]["standing_there"] == "member", about="the new key at the hub")
    both = {site["fingerprint"]: site["standing"] for site in hub.json("sites")["sites"]}
    assert both == {before: "denied", ocean.fingerprint: "member"}


def test_a_denied_site_is_refused_everything_until_it_is_accepted(federation):
    hub = federation.hub("hub")
    ocean = federation.site("ocean")
    ocean.add_hub(hub)
    hub("sites", "deny", ocean.fingerprint[:20])
    problem = eventually(lambda: ocean.hubs()["hub"]["problem"], about="the refusal")
    assert "denied" in problem and "lode sites accept" in problem
    hub("sites", "accept", "ocean")
    eventually(lambda: ocean.hubs()["hub"]["problem"] is None, about="the end of the refusal")
    assert ocean.hubs()["hub"]["standing_there"] == "member"


def canonical(statement):
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def resigned(member, statement, **changes):
    """The statement with changes, signed by the member."""
    return signed(member, {**{name: value for name, value in statement.items() if name != "signature"}, **changes})


def signed(member, statement):
    """The statement as the member would sign it, by openssl and its key."""
    statement = {**statement, "site": member.fingerprint}
    folder = member.user.folder
    (folder / "message").write_bytes(b"lode-statement-1\n" + canonical(statement))
    command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", member.directory / "key.pem", "-in", folder / "message"]
    signature = subprocess.run(command, check=True, capture_output=True).stdout
    return {**statement, "signature": base64.b64encode(signature).decode()}


def heartbeat_of(time, **members):
    return {"kind": "heartbeat", "time": time, "epoch": 1, "serial": 0, "head": "sha256:" + "0" * 64, "ttl_seconds": 60,
            "load": {"cpus": 4, "cpus_busy": 1, "tasks_waiting": 7, "workers": 1}, **members}


def test_a_clock_that_is_an_hour_off_is_shown_and_breaks_nothing(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean", heartbeat=600)
    ocean.add_hub(hub)
    for hours in (1, -1):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        statement = signed(ocean, heartbeat_of(now.strftime("%Y-%m-%dT%H:%M:%SZ")))
        answer = hub.peer_call("POST", "/v1/federation/heartbeat", statement, by=ocean)
        assert answer.code == 200 and answer.json["standing"] == "member"
        seen = hub.sites()["ocean"]
        assert abs(seen["clock_offset_seconds"] - hours * 3600) < 30 and seen["state"] == "up"
        assert seen["load"] == 0.25 and seen["cpus"] == 4 and seen["tasks_waiting"] == 7

    def is_shown():  # The site itself may be heard in between, with its true clock.
        hub.peer_call("POST", "/v1/federation/heartbeat", statement, by=ocean)
        return "-36" in hub("sites").stdout

    eventually(is_shown, about="the clock of the site in the table")


def test_calls_between_sites_need_the_key_of_a_site_and_its_own_word(federation):
    hub = federation.hub("hub")
    ocean = federation.site("ocean")
    desert = federation.site("desert")
    statement = ocean.peer_call("GET", "/v1/federation/site").json
    for path in ("announce", "heartbeat", f"logs/{ocean.fingerprint}"):
        answer = hub.peer_call("POST", f"/v1/federation/{path}", statement)
        assert answer.code == 401 and "client certificate" in answer.json["detail"] and answer.json["fix"]
    # Before it is known.
    beat = signed(ocean, heartbeat_of("2026-01-01T00:00:00Z"))
    assert hub.peer_call("POST", "/v1/federation/heartbeat", beat, by=ocean).code == 404
    # Another's statement, an altered one, one of the hub's own name.
    answer = hub.peer_call("POST", "/v1/federation/announce", statement, by=desert)
    assert answer.code == 403 and "only that site may do" in answer.json["detail"]
    assert hub.peer_call("POST", "/v1/federation/announce", {**statement, "name": "lake"}, by=ocean).code == 422
    own = signed(ocean, {**{key: value for key, value in statement.items() if key != "signature"}, "name": "hub"})
    answer = hub.peer_call("POST", "/v1/federation/announce", own, by=ocean)
    assert answer.code == 409 and "name of this hub itself" in answer.json["detail"]
    assert hub.peer_call("POST", "/v1/federation/announce?mode=often", statement, by=ocean).code == 400
    assert hub.sites() == {}
    answer = hub.peer_call("POST", "/v1/federation/announce", statement, by=ocean)
    assert answer.code == 200 and answer.json["standing"] == "pending" and answer.json["wants"] == "both"
    # A site that is no hub; one that somebody else signed; what is too large.
    assert desert.peer_call("POST", "/v1/federation/announce", statement, by=ocean).code == 409
    beat = {**signed(desert, heartbeat_of("2026-01-01T00:00:00Z")), "site": ocean.fingerprint}
    assert hub.peer_call("POST", "/v1/federation/heartbeat", beat, by=ocean).code == 422
    assert hub.peer_call("POST", "/v1/federation/heartbeat", b"[" * 1000, by=ocean).code == 400
    assert hub.peer_call("POST", "/v1/federation/heartbeat", b"x" * (1 << 20), by=ocean).code == 413
    for path in ("sites/sha256:" + "0" * 64, "sites/nobody", "logs/nobody"):
        assert hub.peer_call("GET", f"/v1/federation/{path}").code == 404


def test_the_feed_of_changes_goes_on_from_its_cursor_and_waits(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean", heartbeat=600)
    ocean.add_hub(hub)

    def changes(query=""):
        first, itself, *rest = hub.peer_call("GET", f"/v1/federation/changes{query}").body.splitlines()
        assert json.loads(itself)["statement"]["name"] == "hub" and json.loads(itself)["heartbeat"]["site"] == hub.fingerprint
        return json.loads(first)["cursor"], [json.loads(line) for line in rest]

    cursor, found = eventually(lambda: [each for each in [changes()] if each[1][0]["heartbeat"]], about="a heartbeat")[0]
    assert [line["statement"]["name"] for line in found] == ["ocean"] and found[0]["standing"] == "member"
    # The push of its log may end just then, and is a change too: read on until there is nothing more.
    while (behind := changes(f"?cursor={cursor}"))[1]:
        cursor = behind[0]
    assert behind == (cursor, [])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(changes, f"?cursor={cursor}&wait=30")
        hub("sites", "deny", "ocean")
        later, found = waiting.result(60)
    assert later != cursor and found[0]["standing"] == "denied"
    assert changes("?cursor=0000000000000000-7")[1] and changes("?cursor=nonsense&wait=30")[1]
    assert ocean.peer_call("GET", "/v1/federation/changes").code == 501


def test_a_hub_that_is_away_is_kept_and_met_later(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    hub.stop()
    answer = ocean.user.json("status", "--site", ocean.url)
    assert answer["name"] == "ocean"
    added = ocean.api("POST", "/v1/hubs", {"url": hub.url, "fingerprint": hub.fingerprint})
    assert added.code == 202 and added.json["problem"] and added.json["name"] == ""
    hub.start()
    eventually(lambda: "hub" in ocean.hubs() and ocean.hubs()["hub"]["standing_there"] == "member", about="the meeting")


def test_hubs_and_standing_are_for_administrators_and_audited(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    token = ocean("token", "create", "alice").stdout.strip()
    body = {"url": hub.url, "fingerprint": hub.fingerprint}
    assert ocean.api("POST", "/v1/hubs", body, token=token).code == 403
    assert ocean.api("GET", "/v1/sites", token=token).code == 200
    assert ocean.api("GET", "/v1/sites", token=False).code == 401
    for wrong in ({**body, "mode": "sometimes"}, {**body, "url": "http://x"}, {**body, "fingerprint": "sha256:1"}, {**body, "more": 1}):
        assert ocean.api("POST", "/v1/hubs", wrong).code == 400
    assert ocean.api("POST", "/v1/hubs", {"url": ocean.url, "fingerprint": ocean.fingerprint}).code == 409
    desert = federation.site("desert")
    answer = ocean.api("POST", "/v1/hubs", {"url": desert.url, "fingerprint": desert.fingerprint})
    assert answer.code == 409 and "no hub" in answer.json["detail"] and "--mirror" in answer.json["fix"]
    ocean.add_hub(hub)
    assert "hub" in ocean("hub", "list").stdout
    ocean("hub", "remove", "hub")
    assert ocean.hubs() == {}
    assert "no hub of this site" in ocean("hub", "remove", "hub", status=1).stderr
    hub("sites", "deny", "ocean")
    assert "no site" in hub("sites", "accept", "nobody", status=1).stderr
    # One that has not been heard of yet, by its whole fingerprint.
    desert("sites", "accept", ocean.fingerprint)
    assert [(site["fingerprint"], site["standing"]) for site in desert.json("sites")["sites"]] == [(ocean.fingerprint, "member")]
    with contextlib.closing(sqlite3.connect(f"file:{ocean.directory}/lode.db?mode=ro", uri=True)) as database:
        audit = [row[0] for row in database.execute("SELECT object FROM identity_audit WHERE action = 'site.change' ORDER BY id")]
    assert audit == [f"hub added {hub.fingerprint}", f"hub removed hub {hub.fingerprint}"]


class LyingHub(threading.Thread):
    """A server with a hub's key in the hub's place that answers every call with what `answer(write)` writes."""

    def __init__(self, hub, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.calls = 0
        self.is_over = False
        host, port = hub.address.split(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(hub.directory / "certificate.pem", hub.directory / "key.pem")
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(50)
        listener.settimeout(0.1)
        self.listener = listener
        self.context = context
        self.start()

    def run(self):
        while not self.is_over:
            try:
                plain, _ = self.listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()
        self.listener.close()

    def serve(self, plain):
        try:
            plain.settimeout(60)
            with self.context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(1 << 16)
                self.calls += 1
                self.answer(connection)
        except OSError:
            pass

    def end(self):
        self.is_over = True
        self.join()


def answer_garbage(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"a\": [}")


def answer_without_end(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\": \"")
    while True:
        connection.sendall(b"x" * 65536)


def answer_nothing(connection):
    connection.recv(1)


def answer_other_protocol(connection):
    connection.sendall(b"220 smtp.example.org ESMTP\r\n" * 10)


@pytest.mark.parametrize("answer, word", [(answer_garbage, "cannot be read"), (answer_without_end, "larger than"),
                                          (answer_nothing, "no answer in time"), (answer_other_protocol, "")])
def test_a_hub_that_answers_badly_costs_little_and_is_shown(federation, answer, word):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_hub(hub)
    eventually(lambda: ocean.hubs()["hub"]["standing_there"] == "member", about="the hub's word")
    hub.stop()
    liar = LyingHub(hub, answer)
    try:
        problem = eventually(lambda: [each for each in [ocean.hubs()["hub"]["problem"]] if each and liar.calls > 0 and word in each], 60, about="the problem")
        assert problem
        if answer is not answer_nothing:
            eventually(lambda: liar.calls >= 3, 60, about="more tries")
        assert ocean.user.json("status", "--site", ocean.url)["memory_bytes"] < 200 << 20
    finally:
        liar.end()
    hub.start()
    eventually(lambda: ocean.hubs()["hub"]["problem"] is None, 60, about="the hub's return")


def test_pushes_work_where_polls_do_not_get_through(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean", "--url", "https://127.0.0.1:1")
    ocean.add_hub(hub, "--mode", "both")
    ocean.add_data("t:first")
    eventually(lambda: has_log(hub, ocean), about="the log at the hub")
    problem = eventually(lambda: hub.sites()["ocean"]["problem"], about="the failure of the poll")
    assert "cannot reach" in problem
    assert hub.sites()["ocean"]["state"] == "up"


def test_polls_work_where_pushes_do_not_get_through(federation):
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean")
    ocean.add_hub(hub, "--mode", "both")
    hub.stop()
    hub.address = "127.0.0.1:0"
    hub.start()
    ocean.add_data("t:first")
    eventually(lambda: has_log(hub, ocean), about="the log at the hub")
    eventually(lambda: ocean.hubs()["hub"]["problem"], about="the failure of the push")
    assert hub.sites()["ocean"]["state"] == "up" and hub.sites()["ocean"]["problem"] is None
