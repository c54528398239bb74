"""`facefleet deploy`: the whole service on an account of AWS, by one command."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from facefleet.backends.aws.account.checks import open_account
from facefleet.backends.aws.account.deployment import Account, Wish, wish_of
from facefleet.backends.aws.account.rolling import PATIENCE
from facefleet.backends.aws.account.warming import await_warm
from facefleet.cli.deploying import Choices, bring, in_short, told_by, url_of
from facefleet.cli.loading.options import SECONDS, Number
from facefleet.cli.plans import counting
from facefleet.cli.serverless import deploy_function
from facefleet.errors import BadSettings, ServiceError
from facefleet.findings import State
from facefleet.settings import Settings

#: Options that one of the two kinds of deployment alone has.
OF_MACHINES = ("web_type", "controller_type", "domain", "plain_from", "warm", "save_root")
OF_FUNCTION = ("memory", "concurrency", "architecture", "photos", "relay", "queue", "function_url", "at")
KEY = "aws secretsmanager get-secret-value --secret-id {secret} --query SecretString --output text"


@click.command()
@click.option("--name", default="facefleet", show_default=True, help="Of the deployment: its stacks begin with it.")
@click.option("--image", help="Machine image, ami-…, of all machines; a function's, in ECR. At first it must be given.")
@click.option("--web-type", help="Type of the web tier's instance.")
@click.option("--controller-type", help="Type of the controller's instance.")
@click.option("--domain", help="Its name on the Internet, for a certificate that everybody trusts; '' for none.")
@click.option("--email", help="Who is told of alarms; '' for nobody.")
@click.option("--budget", type=Number(0.0, 1e9), help="Dollars a month beyond which somebody is told; 0 for none.")
@click.option("--plain-from", help="CIDR that may upload without TLS, on port 8000; '' for nobody.")
@click.option("--warm", type=click.IntRange(min=0), help="Stopped instances to have ready, and to wait for.")
@click.option("--save-root", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Certificate's file.")
@click.option("--show-key", is_flag=True, help="Print the API key, too.")
@click.option("--patience", default=PATIENCE, show_default=True, type=SECONDS, help="Seconds until it must answer.")
@click.option("--serverless", is_flag=True, help="A function that S3 and HTTP wake, in the place of machines.")
@click.option("--memory", type=int, help="MB of the function; CPU follows it, and 1769 are one vCPU.")
@click.option("--concurrency", type=click.IntRange(min=0), help="Calls of it at a time; 0 for what the account has.")
@click.option("--architecture", type=click.Choice(["x86_64", "arm64"]), help="What its image was built for.")
@click.option("--photos/--no-photos", default=None, help="Whether photos in its bucket wake it, as clips do.")
@click.option("--relay/--no-relay", default=None, help="Its bucket tells a relay's queue, and the relay calls it.")
@click.option("--queue/--no-queue", default=None, help="Whether its request queue wakes it, too.")
@click.option("--function-url", type=click.Choice(["", "NONE", "AWS_IAM"]), help="Who may ask at a second address.")
@click.option("--at", help="Where to look whether the function answers, if not at its own address.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", is_flag=True, help="One JSON object, for scripts: needs --yes or --dry-run.")
@click.pass_obj
def deploy(settings: Settings, /, *, name: str, warm: int | None, serverless: bool, **given: Any) -> None:
    """Put the service on AWS: network, machines, queues, buckets, tables, alarms; or change what stands there.

    Settings, FACEFLEET_…, go to its machines, the API key excepted, which is made there. What is not given again stays
    as it was. Shows what is to be done, and what it costs, before anything is; again, it finds that all is fine.
    Machines are replaced one at a time, and no upload is lost; where new ones do not answer, all goes back as it was.

    \b
    Examples:
      facefleet deploy --image ami-0123456789abcdef0 --dry-run
      facefleet deploy --image ami-0123456789abcdef0 --domain faces.example.org --email ops@example.org --budget 50
      FACEFLEET_MAX_INSTANCES=10 facefleet deploy
      facefleet deploy --warm 19 --yes --json | jq -r .url
      facefleet deploy --serverless --image 123456789012.dkr.ecr.us-east-1.amazonaws.com/facefleet-function:1.0
    """
    save_root, show_key = given.pop("save_root"), given.pop("show_key")
    choices = Choices(given.pop("yes"), given.pop("dry_run"), given.pop("json"), given.pop("patience"), settings.url)
    choices.check()
    _refuse_what_is_not_for_it(given | {"warm": warm, "save_root": save_root}, serverless=serverless)
    if serverless:
        at = given.pop("at") or ""
        deploy_function(name, replace(choices, url=at), _said(given), show_key=show_key)
        return
    _refuse_private_cloud(settings)
    account = Account(name)
    env = os.environ | ({} if warm is None else {"FACEFLEET_WARM_LEAST": str(warm)})
    wish = wish_of(name, told_by(account, choices), env, _said(given))
    if not choices.as_json:
        _warn_of_quotas(wish)
    done = bring(account, wish, choices)
    if not choices.dry_run:
        if warm:
            _await_warm(account, wish, quiet=choices.as_json)
        done |= _about(account, wish, choices, show_key=show_key)
        _save(account, wish, save_root)
    click.echo(json.dumps(done) if choices.as_json else "\n".join([in_short(done, choices), *_next_steps(done)]))


def _refuse_what_is_not_for_it(given: Mapping[str, Any], *, serverless: bool) -> None:
    """Options of machines are nothing to a function, and its options nothing to them."""
    foreign = OF_MACHINES if serverless else OF_FUNCTION
    if said := [option for option in foreign if given.get(option) is not None]:
        what = "machines, and not of a function" if serverless else "a function: add --serverless"
        raise click.UsageError(f"--{said[0].replace('_', '-')} is of {what}")


def _refuse_private_cloud(settings: Settings) -> None:
    """Its password would have to be on a machine of EC2, and nothing brings it there."""
    if "openstack" in settings.clouds:
        raise BadSettings(
            "deploy makes a controller on EC2, which cannot sign in to OpenStack: have one on the site "
            "(docs/openstack.md), or unset FACEFLEET_FLEETS for a deployment with instances of EC2 alone"
        )


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    return {option: value for option, value in given.items() if value is not None}


def _warn_of_quotas(wish: Wish) -> None:
    """What the account's quotas do not allow comes to light in a burst, and fails nothing here."""
    with suppress(ServiceError):
        for finding in open_account(wish.settings).quotas_of_instances():
            if finding.state is State.WRONG:
                click.echo(f"beware: {finding.about}: {finding.words}", err=True)


def _await_warm(account: Account, wish: Wish, *, quiet: bool) -> None:
    template = account.outputs()["WorkerTemplate"]
    with counting("warm pool", wish.settings.warm_least, quiet=quiet) as tell:
        await_warm(account.clients, wish.settings, template, tell)


def _about(account: Account, wish: Wish, choices: Choices, *, show_key: bool) -> dict[str, Any]:
    """Where the service is, and how its key is read; the key itself only if it was asked for."""
    told = account.outputs()
    about = {"url": url_of(account, choices), "address": told["Address"], "secret": told["ApiKeySecret"]}
    if wish.options.domain:
        about["domain"] = wish.options.domain
    return about | ({"key": account.key} if show_key else {})


def _save(account: Account, wish: Wish, file: Path | None) -> None:
    if file is not None:
        file.write_bytes(account.certificate(wish.settings.state_bucket))


def _next_steps(done: Mapping[str, Any]) -> Iterator[str]:
    if "url" not in done:
        return
    yield f"The service answers at {done['url']}"
    if "domain" in done:
        yield f"Its name must lead there: an A record of {done['domain']} with {done['address']}"
    else:
        yield "It signs its certificate itself: --save-root root.crt gives what clients must trust (CURL_CA_BUNDLE)"
    yield f"Its key: {done['key']}" if "key" in done else f"Its key: {KEY.format(secret=done['secret'])}"
    yield f"Then: export FACEFLEET_URL={done['url']} FACEFLEET_API_KEY=…; facefleet enrol people/; facefleet status"
