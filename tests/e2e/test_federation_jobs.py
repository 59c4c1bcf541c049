"""Jobs and data between real sites: planned, run where the data lies, split and merged, moved, copied."""

import datetime
import json

import pytest
from conftest import eventually


@pytest.fixture
def three(federation):
    """A hub, two sites with workers and data (t:sea at ocean, t:soil at land), and home, which has neither; all are members."""
    hub = federation.hub("hub", "--join", "open")
    ocean = federation.site("ocean", workers=1)
    land = federation.site("land", workers=1)
    home = federation.site("home")
    for member in (ocean, land, home):
        member.add_hub(hub)
    for member in (ocean, land):  # A site without workers makes no offer.
        eventually(lambda: member.json("workers")["workers"], about="a worker")
    ocean.add_data("t:sea", text="salt\n" * 100)
    land.add_data("t:soil", text="clay\n")
    for name in ("t:sea", "t:soil"):
        eventually(lambda: home("resolve", name, "--anew", status=None).returncode == 0, about=f"{name} can be found")
    return {"hub": hub, "ocean": ocean, "land": land, "home": home}


def job_of(member, result):
    return json.loads(member("job", "show", str(json.loads(result.stdout)["id"]), "--json").stdout)


def test_a_job_runs_where_its_data_is(three):
    home = three["home"]
    result = home("run", "--data", "t:sea=sea", "--", "sh", "-c", "head -n 1 /data/sea/*")
    assert result.stdout == "salt\n"
    assert "runs at ocean" in result.stderr
    # The same again is answered at home, whoever has the data.
    again = home("run", "--data", "t:sea=sea", "--", "sh", "-c", "head -n 1 /data/sea/*")
    assert again.stdout == "salt\n" and "from the cache" in again.stderr


def test_the_exit_status_and_errors_come_home(three):
    home = three["home"]
    result = home("run", "--data", "t:sea", "--", "sh", "-c", "echo no >&2; exit 7", status=None)
    assert result.returncode == 7 and "no\n" in result.stderr


def test_a_plan_shows_numbers_and_runs_nothing(three):
    home = three["home"]
    plan = json.loads(home("plan", "--json", "--data", "t:sea", "--", "true").stdout)
    assert plan["chosen"] == "at" and plan["alternatives"][0]["site"] == "ocean"
    offers = {site["name"]: site for site in plan["candidates"]}
    assert offers["ocean"]["has_offer"] and offers["ocean"]["price"]["core_hours"] > 0
    assert offers["ocean"]["stage_bytes"] == 0 and datetime.datetime.fromisoformat(offers["ocean"]["expires_at"].replace("Z", "+00:00"))
    assert not offers["home"]["has_offer"] and "no workers" in offers["home"]["refusal"]
    shown = home("plan", "--data", "t:sea", "--", "true").stdout
    assert "ocean" in shown
    assert json.loads(home("jobs", "--json").stdout)["jobs"] == []


def test_data_at_two_sites_is_split_and_merged(federation, three):
    home = federation.site("mill", workers=1)
    home.add_hub(three["hub"])
    result = home(
        # So few bytes are moved sooner than the outputs of two parts are expected to be.
        "run", "--stage", "never", "--data", "t:sea=sea", "--data", "t:soil=soil", "--output", "lines", "--merge", "sh -c 'cat inputs/*/lines | sort'",
        "--", "sh", "-c", "cat /data/*/* | uniq > lines"
    )
    assert result.stdout == "clay\nsalt\n"
    jobs = {job["place"]: job for job in json.loads(home("jobs", "--json").stdout)["jobs"]}
    assert {three["ocean"].fingerprint, three["land"].fingerprint} <= set(jobs)


def test_what_parts_write_on_standard_error_is_shown_by_who_wrote_it(federation, three):
    home = federation.site("mill", workers=1)
    home.add_hub(three["hub"])
    merge = ("run", "--stage", "never", "--data", "t:sea=sea", "--data", "t:soil=soil", "--output", "lines", "--merge", "sh -c 'cat inputs/*/lines | sort'", "--")
    both = home(*merge, "sh", "-c", "cat /data/*/* | uniq | tee lines; sed 's/^/I saw /' lines >&2")
    assert both.stdout == "clay\nsalt\n"
    lines = both.stderr.splitlines()
    for site, word in (("ocean", "salt"), ("land", "clay")):
        assert [line for line in lines if line.startswith(f"[{site}, job ") and line.endswith(f"] I saw {word}")], both.stderr
    failed = home(*merge, "sh", "-c", "cat /data/*/* | uniq > lines; if grep salt lines; then echo too salty >&2; exit 3; fi", status=None)
    assert failed.returncode != 0
    assert [line for line in failed.stderr.splitlines() if line.startswith("[ocean, job ") and line.endswith("] too salty")], failed.stderr
    assert "lode: the part at ocean, job " in failed.stderr and "lode: the part at land" not in failed.stderr


def test_without_a_merge_the_smaller_part_is_moved(three):
    home, ocean = three["home"], three["ocean"]
    plan = json.loads(home("plan", "--json", "--data", "t:sea", "--data", "t:soil", "--", "true").stdout)
    assert plan["chosen"] == "move"
    assert [step["data"] for step in plan["alternatives"][0]["steps"] if step["do"] == "move"] == ["t:soil"]
    result = home("run", "--data", "t:sea=sea", "--data", "t:soil=soil", "--", "sh", "-c", "cat /data/*/* | uniq")
    assert sorted(result.stdout.split()) == ["clay", "salt"]
    assert ocean.sites() is not None
    replicas = json.loads(home("resolve", "t:soil", "--anew", "--json").stdout)["locations"]
    eventually(
        lambda: len(json.loads(home("resolve", "t:soil", "--anew", "--json").stdout)["locations"]) == 2,
        about="the second replica",
    )
    assert replicas


def test_a_replica_is_ordered_verified_and_registered(three):
    home, land = three["home"], three["land"]
    result = home("data", "replicate", "t:sea", "--to", "land")
    assert result.returncode == 0
    shown = json.loads(land("data", "show", "t:sea", "--json").stdout)
    assert shown["state"] == "available"
    eventually(
        lambda: len(json.loads(home("resolve", "t:sea", "--anew", "--json").stdout)["locations"]) == 2,
        about="the second replica",
    )


def test_the_site_that_has_the_data_orders_its_replica(three):
    # land knows ocean only as its caller, until it has asked a hub who that is.
    result = three["ocean"]("data", "replicate", "t:sea", "--to", "land")
    assert result.returncode == 0
    assert json.loads(three["land"]("data", "show", "t:sea", "--json").stdout)["state"] == "available"


def test_a_site_can_be_named_without_any_data(three):
    home = three["home"]
    result = home("run", "--at", "land", "--", "echo", "here")
    assert result.stdout == "here\n" and "runs at land" in result.stderr


def test_an_unknown_dataset_is_refused_in_time(three):
    result = three["home"]("run", "--data", "t:nowhere", "--", "true", status=None)
    assert result.returncode != 0 and "t:nowhere" in result.stderr


def test_a_site_that_takes_no_guests_says_so(federation, three):
    desert = federation.site("desert", "--guests", "none", workers=1)
    desert.add_hub(three["hub"])
    desert.add_data("t:sand")
    land = three["land"]
    eventually(lambda: land("resolve", "t:sand", "--anew", status=None).returncode == 0, about="t:sand can be found")
    for stage in ("never", "auto"):  # Nor does it give its data away, to be moved to where the job could run.
        result = land("run", "--stage", stage, "--data", "t:sand", "--", "true", status=None, seconds=30)
        assert result.returncode != 0 and "desert: this site takes no jobs from other sites" in result.stderr
    assert json.loads(land("transfers", "--json").stdout)["transfers"] == []


def test_a_job_whose_data_cannot_be_brought_fails_with_the_reason(three):
    """The one site that has the data is away; whether a copy is given up by itself or by hand makes no difference to the job."""
    land = three["land"]
    three["ocean"].kill()
    job = json.loads(land("submit", "--data", "t:sea", "--json", "--", "true").stdout)["id"]
    show = lambda: json.loads(land("job", "show", str(job), "--json").stdout)
    transfers = lambda: json.loads(land("transfers", "--json").stdout)["transfers"]
    eventually(transfers, about="the order")
    land("transfers", "cancel", str(transfers()[0]["id"]))
    eventually(lambda: show()["state"] == "failed", about="the end of the job")
    said = land("why", str(job)).stdout
    assert "t:sea could not be brought to this site" in said and "submit it again" in said and "lode retry" not in said
    assert "submit it again" in land("retry", str(job), status=1).stderr
    assert len(transfers()) == 1


def test_a_copy_that_was_ordered_for_a_job_ends_when_that_is_cancelled(three):
    """The one site that has the data is away, so that the copy stays under way; one that somebody else has ordered too goes on."""
    land = three["land"]
    three["ocean"].kill()
    submit = lambda word: str(json.loads(land("submit", "--data", "t:sea", "--json", "--", "echo", word).stdout)["id"])
    transfers = lambda: json.loads(land("transfers", "--json").stdout)["transfers"]
    first = submit("first")
    eventually(transfers, about="the order")
    second = submit("second")
    copied = lambda job: "is being brought" in land("why", job).stdout
    eventually(lambda: copied(first) and copied(second), about="both jobs wait for the copy")
    land("cancel", first)
    eventually(lambda: not copied(first), about="the end of the first job")
    assert copied(second) and [each["state"] for each in transfers()] != ["cancelled"]
    land("cancel", second)
    eventually(lambda: [each["state"] for each in transfers()] == ["cancelled"], about="the end of the copy")


def test_over_the_files_of_data_elsewhere(three):
    home = three["home"]
    result = home("run", "--over", "t:sea", "--", "wc", "-l", "{file}")
    assert "100" in result.stdout


def test_a_copy_that_lode_made_goes_with_its_registration_and_nothing_else_does(three):
    home, land, ocean = three["home"], three["land"], three["ocean"]
    ocean.add_data("t:brine", text="salt\n" * 100)  # The same content under another name.
    eventually(lambda: home("resolve", "t:brine", "--anew", status=None).returncode == 0, about="t:brine can be found")
    for name in ("t:sea", "t:brine"):
        assert land("data", "replicate", name).returncode == 0
    replicas = land.directory / "replicas"
    files = lambda: sorted(path for path in replicas.rglob("*") if path.is_file() and "data" in path.parts)
    assert files()
    land("data", "remove", "t:sea")
    assert files() and land("run", "--data", "t:brine", "--", "sh", "-c", "head -n 1 /data/brine/*").stdout == "salt\n"
    land("data", "remove", "t:brine")
    assert list(replicas.iterdir()) == []
    own = json.loads(ocean("data", "show", "t:sea", "--json").stdout)["roots"][0]["path"]
    ocean("data", "remove", "t:sea")
    assert (type(replicas)(own) / "file.txt").read_text() == "salt\n" * 100


def test_a_job_over_files_is_not_split_but_can_be_merged(three):
    home = three["home"]
    over = ("--over", "t:sea", "--output", "lines", "--merge", "sh -c 'cat inputs/0/lines'")
    command = ("--", "sh", "-c", "wc -l < {file} > lines")
    refused = home("run", "--stage", "never", "--data", "t:soil", *over, *command, status=None)
    assert refused.returncode != 0 and "not split by where its data lies" in refused.stderr
    mill = three["ocean"]
    assert mill("run", *over, *command).stdout == "100\n"
