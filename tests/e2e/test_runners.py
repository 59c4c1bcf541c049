"""Classes of runners: whose tasks they run, what they read, who is answered from what they computed, and who may make them."""

import pytest
from conftest import eventually

SMALL = {"memory_bytes": 16 << 20, "disk_bytes": 1 << 20}


@pytest.fixture
def own_site(make_site):
    """A site without workers of its own."""
    return make_site(options=("--workers", "0"))


@pytest.fixture
def start_runner(own_site, lode, tmp_path):
    """start_runner(name, token, *options): starts `lode worker` with a token (None: that of the site's own workers, "": its key)."""
    runners = []

    def start(name, token, *options, wait=True):
        file = own_site.directory / "worker.token"
        if token is not None:
            file = tmp_path / f"{name}.token"
            file.touch(0o600)
            file.write_text(token)
        credential = () if token == "" else ("--token-file", file)
        seen = {each["id"] for each in listed(own_site)}
        with open(tmp_path / f"{name}.log", "ab") as log:
            runners.append(lode.start("worker", "--site", own_site.url, "--pin", own_site.api("GET", "/v1/site").json["fingerprint"], *credential,
                                      "--directory", tmp_path / name, "--name", name, "--cpus", "2", "--memory", "1G", *options, stdout=log, stderr=log))
        if wait:
            eventually(lambda: {each["id"] for each in listed(own_site)} - seen)
        return runners[-1]

    yield start
    for runner in runners:
        if runner.poll() is None:
            runner.terminate()
    for runner in runners:
        runner.wait(60)


def listed(site):
    return site.api("GET", "/v1/workers").json["workers"]


def user(site, name):
    return site.api("POST", "/v1/tokens", {"principal": name, "role": "user"}).json["token"]


def runner_token(site, by=True, **said):
    made = site.api("POST", "/v1/tokens", said, token=by)
    assert made.code == 201, made
    return made.json


def submit(site, by, *command, **said):
    taken = site.api("POST", "/v1/jobs", {"command": list(command), **SMALL, **said}, token=by)
    assert taken.code == 201, taken
    return taken.json["id"]


def show(site, job):
    return site.api("GET", f"/v1/jobs/{job}").json


def await_end(site, job):
    ended = site.api("GET", f"/v1/jobs/{job}?wait=60").json
    assert ended["state"] == "succeeded", ended
    return ended


def is_cached(site, job):
    return await_end(site, job)["tasks"]["cached"] == 1


def why(site, job):
    return site.api("GET", f"/v1/jobs/{job}/why").json


def record(site, job):
    return site.api("GET", f"/v1/jobs/{job}/tasks/0").json


def test_a_users_runner_runs_his_jobs_alone_and_answers_nobody_else(own_site, start_runner):
    ada, eve = user(own_site, "ada"), user(own_site, "eve")
    token = runner_token(own_site, ada, **{"class": "user"})
    assert token["class"] == "user" and token["user"] == "ada" and token["role"] == "worker"
    start_runner("laptop", token["token"])
    assert [(each["name"], each["class"], each["user"]) for each in listed(own_site)] == [("laptop", "user", "ada")]
    foreign = submit(own_site, eve, "echo", "same")
    own = submit(own_site, ada, "echo", "same")
    await_end(own_site, own)
    assert record(own_site, own)["results_for"] == "user:ada" and record(own_site, own)["worker"] == "laptop"
    assert is_cached(own_site, submit(own_site, ada, "echo", "same"))
    # The other user's job neither ran there nor was it answered from it.
    assert show(own_site, foreign)["state"] == "waiting"
    said = why(own_site, foreign)
    assert "laptop (user: ada)" in said["why"] and "lode token create" in said["change"], said
    start_runner("rack", None)
    assert not is_cached(own_site, foreign)
    assert record(own_site, foreign)["results_for"] == "site" and record(own_site, foreign)["worker"] == "rack"
    # What the site computed answers everybody.
    assert is_cached(own_site, submit(own_site, user(own_site, "bob"), "echo", "same"))


def test_a_session_runs_what_is_submitted_after_it_began(own_site, start_runner):
    ada = user(own_site, "ada")
    before = submit(own_site, ada, "echo", "before")
    token = runner_token(own_site, ada, **{"class": "session", "expires_seconds": 3600})
    start_runner("laptop", token["token"])
    await_end(own_site, submit(own_site, ada, "echo", "after"))
    assert show(own_site, before)["state"] == "waiting"


def test_a_revoked_runner_is_gone_at_once_and_its_tasks_run_elsewhere(own_site, start_runner, tmp_path):
    ada, eve = user(own_site, "ada"), user(own_site, "eve")
    token = runner_token(own_site, ada, **{"class": "session"})
    runner = start_runner("laptop", token["token"])
    job = submit(own_site, ada, "sh", "-c", "sleep 1000 & wait", cache="off")
    eventually(lambda: show(own_site, job)["tasks"]["running"] == 1)
    mine = own_site.api("GET", "/v1/tokens", token=ada).json["tokens"]
    assert {each["token_id"] for each in mine if each["class"] == "session"} == {token["token_id"]}
    assert all(each["principal"] == "ada" for each in mine)
    assert own_site.api("DELETE", f"/v1/tokens/{token['token_id']}", token=eve).code == 403
    assert own_site.api("DELETE", f"/v1/tokens/{token['token_id']}", token=ada).code == 204
    eventually(lambda: show(own_site, job)["tasks"]["running"] == 0)
    assert show(own_site, job)["failures"]["lost"] == 0  # It has not died.
    assert runner.wait(60) != 0
    assert "token" in (tmp_path / "laptop.log").read_text()


def test_an_anonymous_runner_runs_one_job_and_ends(own_site, start_runner, tmp_path):
    ada = user(own_site, "ada")
    other = submit(own_site, ada, "echo", "another")
    job = submit(own_site, ada, "sh", "-c", "echo done; cat go 2>&1 || true", files=[])
    token = runner_token(own_site, ada, **{"class": "job-token", "job": job})
    runner = start_runner("secret-name", token["token"])
    await_end(own_site, job)
    assert runner.wait(60) == 0, (tmp_path / "secret-name.log").read_text()
    assert record(own_site, job)["results_for"] == f"job:{job}"
    assert "secret-name" not in str(listed(own_site)) and "secret-name" not in str(record(own_site, job)), record(own_site, job)
    assert show(own_site, other)["state"] == "waiting"
    # It is for no other job, not even the same one of the same user.
    again = submit(own_site, ada, "sh", "-c", "echo done; cat go 2>&1 || true", files=[])
    late = start_runner("late", token["token"], wait=False)
    assert late.wait(60) != 0
    said = (tmp_path / "late.log").read_text()
    assert f"job {job}, which this runner is for, has ended" in said, said
    start_runner("rack", None)
    assert not is_cached(own_site, again)


def test_a_spare_computer_runs_what_says_so_and_poisons_nothing(own_site, start_runner, lode, tmp_path):
    ada, eve = user(own_site, "ada"), user(own_site, "eve")
    assert own_site.api("POST", "/v1/tokens", {"class": "spare"}, token=ada).code == 403
    token = lode("token", "create", "stranger", "--class", "spare").stdout.strip()
    start_runner("stranger", token)
    plain = submit(own_site, ada, "echo", "same")
    spare = submit(own_site, ada, "echo", "same", spare=True)
    await_end(own_site, spare)
    assert record(own_site, spare)["results_for"] == "spare" and show(own_site, plain)["state"] == "waiting"
    assert "--spare" in why(own_site, plain)["change"]
    assert is_cached(own_site, submit(own_site, eve, "echo", "same", spare=True))
    start_runner("rack", None)
    assert not is_cached(own_site, plain)
    (tmp_path / "data").write_text("private")
    lode("data", "add", "t:private", tmp_path / "data")
    refused = lode("run", "--spare", "--data", "t:private", "--", "true", status=None)
    assert refused.returncode != 0 and "kept back from spare runners" in refused.stderr, refused.stderr
    # What a job brings itself goes there.
    (tmp_path / "x").write_text("mine\n")
    own_site.stop()
    own_site.start()
    assert lode("run", "--spare", "--cache", "off", "--file", tmp_path / "x", "--memory", "16M", "--disk", "1M", "--", "cat", "x").stdout == "mine\n"


def test_groups_of_a_runner_are_forced(own_site, start_runner, lode, tmp_path):
    for group in ("physics", "biology", "chemistry"):
        lode("group", "create", group)
    token = lode("token", "create", "lab", "--class", "group", "--group", "physics", "--group", "chemistry").stdout.strip()
    assert own_site.api("POST", "/v1/tokens", {"class": "group", "groups": ["physics"]}, token=user(own_site, "ada")).code == 403
    assert "there is no group" in lode("token", "create", "--class", "group", "--group", "astronomy", status=1).stderr
    greedy = start_runner("greedy", token, "--groups", "biology", wait=False)
    assert greedy.wait(60) != 0 and "cannot work for biology" in (tmp_path / "greedy.log").read_text()
    start_runner("lab", token)
    assert listed(own_site)[-1]["groups"] == ["physics", "chemistry"] and listed(own_site)[-1]["class"] == "group"
    outside = submit(own_site, True, "echo", "1", group="biology")
    inside = submit(own_site, True, "echo", "1", group="physics")
    await_end(own_site, inside)
    assert show(own_site, outside)["state"] == "waiting"
    refused = lode("worker", "move", "lab", "biology", status=1).stderr
    assert "cannot work for biology" in refused and "lode token create --class group" in refused
    lode("worker", "move", "lab", "chemistry")
    await_end(own_site, submit(own_site, True, "echo", "2", group="chemistry"))
    assert is_cached(own_site, submit(own_site, True, "echo", "1", group="physics"))
    assert record(own_site, inside)["results_for"] == "group:physics"


def test_a_key_and_an_invitation_have_a_class(own_site, start_runner, lode, tmp_path):
    ada = user(own_site, "ada")
    start_runner("desk", "", wait=False)
    eventually(lambda: [each["state"] for each in own_site.api("GET", "/v1/worker-keys").json["worker_keys"]] == ["pending"])
    for kind in ("session", "job-token"):
        refused = own_site.api("POST", "/v1/worker-keys/desk/state", {"state": "accepted", "class": kind, "user": "ada", "job": 1})
        assert refused.code == 400 and "has a token, and no key" in refused.json["detail"], refused
    assert "of class user: ada" in lode("worker", "accept", "desk", "--class", "user", "--user", "ada").stdout
    eventually(lambda: [each["class"] for each in listed(own_site)] == ["user"])
    foreign = submit(own_site, True, "echo", "1")
    await_end(own_site, submit(own_site, ada, "echo", "1"))
    assert show(own_site, foreign)["state"] == "waiting"
    # Accepted again it keeps its class, and gets another one when that is said, without being started again.
    lode("worker", "accept", "desk")
    assert own_site.api("GET", "/v1/worker-keys").json["worker_keys"][0]["class"] == "user"
    lode("worker", "accept", "desk", "--class", "site")
    await_end(own_site, foreign)
    assert "site" in lode("workers").stdout
    invited = lode.json("worker", "invite", "--name", "lent", "--class", "spare")
    assert invited["class"] == "spare"
    lode("worker", "enroll", "--site", own_site.url, "--pin", own_site.api("GET", "/v1/site").json["fingerprint"], "--token", invited["token"],
         "--directory", tmp_path / "lent")
    keys = {each["name"]: each["class"] for each in own_site.api("GET", "/v1/worker-keys").json["worker_keys"]}
    assert keys == {"desk": "site", "lent": "spare"}


def test_a_key_that_was_refused_in_between_comes_back_with_its_class(own_site, start_runner):
    def decide(**said):
        decided = own_site.api("POST", "/v1/worker-keys/lent/state", said)
        assert decided.code == 200, decided
        return decided.json["class"]

    start_runner("lent", "", wait=False)
    eventually(lambda: [each["state"] for each in own_site.api("GET", "/v1/worker-keys").json["worker_keys"]] == ["pending"])
    assert decide(state="accepted", **{"class": "spare"}) == "spare"
    eventually(lambda: [each["class"] for each in listed(own_site)] == ["spare"])
    decide(state="refused")
    # A stranger's computer does not become one of the site by that.
    assert decide(state="accepted") == "spare"
    assert decide(state="accepted", **{"class": "site"}) == "site"


@pytest.mark.parametrize("said", ({"class": "spare"}, {"class": "group", "groups": ["physics"]}), ids=("spare", "group"))
def test_a_runner_of_nobody_is_not_somebodys_by_its_name(own_site, said):
    """Its token is of who made it, and not of a user who is called as its class is."""
    own_site.api("POST", "/v1/groups", {"name": "physics"})
    namesake = user(own_site, said["class"])
    made = runner_token(own_site, **said)
    assert made["principal"] == own_site.api("GET", "/v1/whoami").json["principal"]
    assert [each["role"] for each in own_site.api("GET", "/v1/tokens", token=namesake).json["tokens"]] == ["user"]
    assert own_site.api("DELETE", f"/v1/tokens/{made['token_id']}", token=namesake).code == 403


def test_users_make_runners_for_their_own_jobs_alone(own_site, lode):
    ada, eve = user(own_site, "ada"), user(own_site, "eve")
    job = submit(own_site, eve, "true")
    for said, code in (({"class": "user", "user": "eve"}, 403), ({"class": "session", "user": "eve"}, 403), ({"class": "job", "job": job}, 403),
                       ({"class": "job-token", "job": job}, 403), ({"class": "job", "job": 999}, 404), ({"class": "job"}, 400), ({"class": "site"}, 403),
                       ({"class": "user", "job": job}, 400), ({"class": "user", "role": "admin"}, 400), ({"class": "king"}, 400),
                       ({"principal": "ada", "role": "user"}, 403), ({"principal": "ada", "role": "admin"}, 403)):
        refused = own_site.api("POST", "/v1/tokens", said, token=ada)
        assert refused.code == code, (said, refused)
    # What has ended has nothing for a runner to do.
    ended = submit(own_site, ada, "true")
    own_site.api("POST", f"/v1/jobs/{ended}/cancel", token=ada)
    for kind in ("job", "job-token"):
        refused = own_site.api("POST", "/v1/tokens", {"class": kind, "job": ended}, token=ada)
        assert refused.code == 409 and "has ended: it was cancelled" in refused.json["detail"] and "still to run" in refused.json["fix"], refused
    # The command line says what is to be said there.
    assert "(--job)" in lode("token", "create", "--class", "job", status=1).stderr
    assert "(--group)" in lode("token", "create", "--class", "group", status=1).stderr
    # Classes are of workers: who may do what as a user has none.
    assert lode("token", "create", "lab", "--class", "spare").stdout.startswith("lode_")
    classes = {line.split()[1]: line.split()[-1] for line in lode("token", "list").stdout.splitlines()[1:]}
    assert (classes["eve"], classes["lab"]) == ("-", "spare"), classes
    # Operators make them for others.
    assert runner_token(own_site, user="eve", **{"class": "user"})["user"] == "eve"
    assert runner_token(own_site, job=job, **{"class": "job"})["user"] == "eve"
    # Nothing is made with a runner's token.
    runner = runner_token(own_site, ada, **{"class": "user"})["token"]
    assert own_site.api("POST", "/v1/tokens", {"class": "user"}, token=runner).code == 403
