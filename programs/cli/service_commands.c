// `lode site`, `lode worker`, `lode link` and `lode unpack` in the table of commands: their options, examples and words of help.
#include "cli/command.h"

#include "commands.h"

static const struct command_option SITE_OPTIONS[] = {
    {"directory", 0, OPTION_TEXT, "DIR",
     "keep everything here (default: ~/.local/share/lode, or $XDG_DATA_HOME/lode)", NULL},
    {"address", 0, OPTION_TEXT, "HOST:PORT", "listen here (default: 127.0.0.1:7733)", NULL},
    {"name", 0, OPTION_TEXT, "NAME", "the site's name (default: this machine's)", NULL},
    {"workers", 0, OPTION_COUNT, "CPUS", "cores that run tasks; 0: none (default: all)", NULL},
    {"sandbox", 0, OPTION_TEXT, "KIND", "how tasks are shut in (default: bubblewrap)",
     "bubblewrap|none"},
    {"url", 0, OPTION_TEXT, "URL",
     "where other sites reach it (default: the address, unless that is every address)", NULL},
    {"announce", 0, OPTION_FLAG, NULL,
     "say on the local network that it is here (default: when it listens there)", NULL},
    {"no-announce", 0, OPTION_FLAG, NULL, "do not say so: workers are told its address", NULL},
    {"guests", 0, OPTION_TEXT, "WHOM",
     "other sites whose users may run jobs here (default: members)", "none|accepted|members"},
    {"guest-upload-max", 0, OPTION_BYTES, "SIZE",
     "files that a user of another site may send a day; 0: no limit (default: 10G)", NULL},
    {"user-upload-max", 0, OPTION_BYTES, "SIZE",
     "files that a user of this site may send a day; 0: no limit (default: 0)", NULL},
    {"mirror", 0, OPTION_FLAG, NULL, "be a hub: keep copies of other sites' catalogue logs", NULL},
    {"log-max", 0, OPTION_BYTES, "SIZE",
     "of a hub: the most that it keeps of one site's log (default: 32G)", NULL},
    {"join", 0, OPTION_TEXT, "HOW",
     "of a hub: who announces itself is a member at once (open) or after lode sites accept "
     "(default: ask)",
     "open|ask"},
    {"hub-mode", 0, OPTION_TEXT, "MODE",
     "of a hub: how it keeps in step with sites (default: both)", "push|poll|both"},
    {"heartbeat", 0, OPTION_DURATION, "TIME", "between two words to or from a hub (default: 60s)",
     NULL},
    {"peer", 0, OPTION_LIST, "NAME=FINGERPRINT@URL",
     "a site that may run jobs here and run this one's, without a hub between them", NULL},
    {"lease", 0, OPTION_DURATION, "TIME",
     "a worker with tasks that is silent for so long is lost; up to 30s for slow links (default: "
     "5s)",
     NULL},
    {"sweep-after", 0, OPTION_DURATION, "TIME",
     "after the start, until uploads that nobody named are removed; up to 24h (default: 1h)", NULL},
    {"worker-ca", 0, OPTION_TEXT, "FILE",
     "accept workers whose certificate one of these authorities (PEM) has signed", NULL},
    {"open", 0, OPTION_FLAG, NULL,
     "any worker joins at once; only on loopback and private addresses", NULL},
    {"json", 0, OPTION_FLAG, NULL, "say where it listens as one JSON document", NULL},
};

static const struct command_example SITE_EXAMPLES[] = {
    {"lode site", "serves https://127.0.0.1:7733 with workers for all cores"},
    {"lode site --directory /srv/lode --address 0.0.0.0:7733 --name desk",
     "serves the network, with its state in /srv/lode"},
    {"lode site --mirror --join open --address 0.0.0.0:7733 --url https://hub.example.org:7733",
     "is a hub that takes in every site that announces itself"},
    {"lode site --peer ocean=sha256:4f5c...@https://ocean.example:7733",
     "knows the site ocean without a hub: each may run the other's jobs"},
    {"lode site --address 192.168.1.5:7733 --open",
     "lets every worker of the office's network join, without a question"},
};

const struct command COMMAND_SITE = {
    .name = "site",
    .usage = "",
    .purpose = "serves a site: its data, its queue and this machine's workers",
    .description =
        "SIGTERM ends it gracefully. It takes its socket from systemd (LISTEN_FDS) and says when "
        "it is ready (NOTIFY_SOCKET) where these are set.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(SITE_OPTIONS),
    .examples = EXAMPLES(SITE_EXAMPLES),
    .is_offline = true,
    .run = command_site,
};

static const struct command_option WORKER_OPTIONS[] = {
    {"site", 0, OPTION_TEXT, "URL|NAME",
     "take tasks from this site: at an address, or of this name on the local network (default: the "
     "one that is there)",
     NULL},
    {"pin", 0, OPTION_TEXT, "FINGERPRINT", "the site's key must have this fingerprint", NULL},
    {"site-file", 0, OPTION_TEXT, "FILE", "read URL and fingerprint from this site.json", NULL},
    {"trust", 0, OPTION_FLAG, NULL,
     "of a site that is met for the first time: take the key that it shows, without a question",
     NULL},
    {"token-file", 0, OPTION_TEXT, "FILE",
     "show this token of role worker (default: the worker's own key)", NULL},
    {"certificate", 0, OPTION_TEXT, "FILE",
     "show this certificate (PEM), from an authority that the site knows", NULL},
    {"key", 0, OPTION_TEXT, "FILE", "the key of --certificate", NULL},
    {"directory", 0, OPTION_TEXT, "DIR",
     "keep the worker's key and tasks' folders here (default: ~/.local/share/lode-worker)", NULL},
    {"cpus", 0, OPTION_NUMBER, "N", "cores to use (default: all)", NULL},
    {"memory", 0, OPTION_BYTES, "SIZE", "memory to use (default: what the machine has)", NULL},
    {"label", 0, OPTION_LIST, "NAME[=VALUE]", "what jobs may require of it (lode run --require)",
     NULL},
    {"gpus", 0, OPTION_COUNT, "N",
     "graphics processors to use (default: all, or those in CUDA_VISIBLE_DEVICES)", NULL},
    {"serve", 0, OPTION_TEXT, "ADDRESS:PORT|auto[:PORT]|none",
     "give fetched inputs to other workers of the site here (port 0: any; auto: at the address of "
     "this machine that leads to the site; default: as auto, to those of its own zone or network, "
     "but not on the site's machine)",
     NULL},
    {"cache-size", 0, OPTION_BYTES, "SIZE",
     "room for inputs that it fetches, kept for later (default: half of the free disk)", NULL},
    {"name", 0, OPTION_TEXT, "NAME", "its name at the site (default: this machine's)", NULL},
    {"groups", 0, OPTION_TEXT, "GROUP,...",
     "work for these groups only: of the first that has tasks first (default: for all)", NULL},
    {"grace", 0, OPTION_DURATION, "TIME", "how long a site may be away before the worker ends",
     NULL},
    {"lifetime", 0, OPTION_DURATION, "TIME",
     "be gone after this time; it takes what can end before (default: it stays)", NULL},
    {"notice", 0, OPTION_DURATION, "TIME",
     "how long running tasks have from the warning that it leaves (default: 5s)", NULL},
    {"warning-signal", 0, OPTION_TEXT, "NAME[@TIME]",
     "the signal by which a batch system says that the end comes after TIME (default: USR1 and "
     "USR2, 60s)",
     NULL},
    {"sandbox", 0, OPTION_TEXT, "KIND", "how tasks are shut in (default: bubblewrap)",
     "bubblewrap|none"},
    {"runner", 0, OPTION_TEXT, "FILE", "the program lode-runner (default: beside lode)", NULL},
    {"json", 0, OPTION_FLAG, NULL,
     "say what this worker offers, and then what the site says to it, one JSON document a line",
     NULL},
    {"listen", 0, OPTION_FLAG, NULL,
     "be a helper instead: start workers for who connects and shows a key that is allowed here",
     NULL},
    {"stdio", 0, OPTION_FLAG, NULL,
     "be a helper for who is at the other end of standard input: for ssh, inetd, systemd", NULL},
    {"address", 0, OPTION_TEXT, "HOST:PORT",
     "of a helper: listen here (default: 127.0.0.1:7730, or the sockets of systemd)", NULL},
    {"caller-ca", 0, OPTION_TEXT, "FILE",
     "of a helper: know callers by certificates of these authorities (PEM) too", NULL},
    {"allow-root", 0, OPTION_FLAG, NULL, "of a helper: start workers of root too", NULL},
};

static const struct command_example WORKER_EXAMPLES[] = {
    {"lode worker",
     "runs tasks of the site that announces itself on the local network, once \"lode "
     "worker accept\" was typed there"},
    {"lode worker --site desk", "the same, of several sites that of the name desk"},
    {"lode worker --site https://desk:7733 --pin sha256:... --directory /scratch/lode",
     "asks no question about the site's key"},
    {"lode worker --site https://desk:7733 --certificate host.pem --key host.key --directory "
     "/scratch/lode",
     "shows a certificate from an authority that the site knows"},
    {"lode worker --site https://desk:7733 --lifetime 2h --warning-signal USR1@120",
     "serves in a batch job of two hours that was given --signal=USR1@120"},
    {"lode worker --listen --address 0.0.0.0:7730",
     "starts workers on this machine for those that \"lode worker allow\" has named"},
    {"ssh node7 lode worker --stdio", "what \"lode pool start node7\" does"},
};

const struct command COMMAND_WORKER = {
    .name = "worker",
    .usage = "",
    .purpose = "runs tasks for a site on this machine",
    .description =
        "A site starts workers for its own machine itself; this adds another machine. SIGTERM ends "
        "it: it takes no more, running tasks are warned by SIGTERM, and what has not ended when "
        "their notice is over goes back to the site, which has it run elsewhere; nobody is blamed. "
        "--lifetime, a warning signal and `lode worker drain` do the same at their time.\n\n"
        "Its key, made at the first start, is what the site knows it by: it waits until an "
        "operator "
        "has typed \"lode worker accept NAME\" there, once, unless it was enrolled before. The "
        "site's key is remembered at the first meeting, and another one is refused from then "
        "on.\n\n"
        "With --listen or --stdio it runs no tasks itself, but starts workers, each as the account "
        "of who asks for it (`lode pool start`): over ssh as the account that ssh logged in to; "
        "over the network, by TLS, as the account that `lode worker allow` gave the caller's key.",
    .statuses = "3: No sandbox can be made on this machine; the way out is said.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(WORKER_OPTIONS),
    .examples = EXAMPLES(WORKER_EXAMPLES),
    .is_offline = true,
    .run = command_worker,
};

static const struct command_option LINK_OPTIONS[] = {
    {"site-file", 0, OPTION_TEXT, "FILE", "read URL and fingerprint of the own site here", NULL},
    {"token-file", 0, OPTION_TEXT, "FILE", "the token of role worker", NULL},
    {"directory", 0, OPTION_TEXT, "DIR", "keep what is under way here", NULL},
    {"key", 0, OPTION_TEXT, "FILE", "the site's key, shown to other sites", NULL},
    {"certificate", 0, OPTION_TEXT, "FILE", "the site's certificate", NULL},
    {"grace", 0, OPTION_DURATION, "TIME", "how long the site may be away before the link ends",
     NULL},
    {"json", 0, OPTION_FLAG, NULL, "say whose link this is as one JSON document", NULL},
};

static const struct command_example LINK_EXAMPLES[] = {
    {"lode link --site-file site.json --token-file worker.token --directory link --key key.pem "
     "--certificate certificate.pem",
     "serves the site whose folder this is, as the site does by itself"},
};

const struct command COMMAND_LINK = {
    .name = "link",
    .usage = "",
    .purpose = "takes a site's jobs to other sites and brings their results home",
    .description = "A site starts it by itself when jobs are to run elsewhere. SIGTERM ends it: "
                   "what runs elsewhere runs on, and the next one takes it up again.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(LINK_OPTIONS),
    .examples = EXAMPLES(LINK_EXAMPLES),
    .is_offline = true,
    .run = command_link,
};

static const struct command_option UNPACK_OPTIONS[] = {
    {"kind", 0, OPTION_TEXT, "KIND", "what it is (default: bundle)", "bundle|oci"},
    {"size", 0, OPTION_BYTES, "SIZE", "how many bytes may come out of it (default: 256G)", NULL},
    {"json", 0, OPTION_FLAG, NULL, "say what tasks would see of it as one JSON document", NULL},
};

static const struct command_example UNPACK_EXAMPLES[] = {
    {"lode unpack tools.tar.zst tools", "shows what tasks would see of a bundle, in tools/root"},
    {"lode unpack --kind oci image.tar image", "the same of an image that podman has saved"},
};

const struct command COMMAND_UNPACK = {
    .name = "unpack",
    .usage = "ARCHIVE FOLDER",
    .purpose = "unpacks the software of a job, as a worker does",
    .description =
        "Workers call this, in a sandbox of its own, for what --bundle and --image of \"lode run\" "
        "bring. Here it shows beforehand whether an archive is taken. In FOLDER, which must be "
        "empty, root is what tasks see, and software.json says how: \"root\" is true when it "
        "takes the place of the machine's /usr, /bin, /lib and /etc, and false when it lies at "
        "/opt/bundle.",
    .statuses = "4: The archive is none, is broken, or holds what it may not: paths that lead out, "
                "devices.\n5: It holds more than --size allows, or than the disk has space for.",
    .group = GROUP_SITE,
    .options = OPTION_TABLE(UNPACK_OPTIONS),
    .examples = EXAMPLES(UNPACK_EXAMPLES),
    .operands_min = 2,
    .operands_max = 2,
    .is_offline = true,
    .run = command_unpack,
};
