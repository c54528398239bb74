"""`facefleet upgrade`: another machine image under a deployment that goes on answering."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from facefleet.backends.aws.account.deployment import Account, Wish, wish_of
from facefleet.backends.aws.account.rolling import PATIENCE
from facefleet.cli.deploying import Choices, bring, in_short, told_by
from facefleet.cli.loading.options import SECONDS
from facefleet.cli.serverless import upgrade_function
from facefleet.errors import BadSettings, NotFound
from facefleet.settings import Settings


@click.command()
@click.option("--name", default="facefleet", show_default=True, help="Of the deployment.")
@click.option("--image", help="The new machine image, ami-…; a function's, in ECR.")
@click.option("--rollback", is_flag=True, help="Back to the image before.")
@click.option("--patience", default=PATIENCE, show_default=True, type=SECONDS, help="Seconds until it must answer.")
@click.option("--serverless", is_flag=True, help="The function, and not the machines.")
@click.option("--at", default="", help="Where to look whether the function answers, if not at its own address.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--json", is_flag=True, help="One JSON object, for scripts: needs --yes or --dry-run.")
@click.pass_obj
def upgrade(settings: Settings, /, *, name: str, image: str | None, rollback: bool, **given: Any) -> None:
    """Replace all machines by ones from another image, and lose no request.

    One worker tries the image before anything else is touched. Then controller and web tier follow, each beside the
    old machine until it answers, and workers as they become free. Where the new one does not answer, all goes back by
    itself. Interrupted, it goes on when it is started again. Settings stay as they were deployed.

    \b
    Examples:
      facefleet upgrade --image ami-0fedcba9876543210
      facefleet upgrade --image ami-0fedcba9876543210 --dry-run
      facefleet upgrade --rollback
      facefleet upgrade --serverless --image 123456789012.dkr.ecr.us-east-1.amazonaws.com/facefleet-function:1.1
    """
    choices = Choices(given["yes"], given["dry_run"], given["json"], given["patience"], settings.url)
    if (image is None) is not rollback:
        raise click.UsageError("give --image, or --rollback for the image before")
    choices.check()
    if given["serverless"]:
        upgrade_function(name, replace(choices, url=given["at"]), image)
        return
    account = Account(name)
    wish = _wish(account, told_by(account, choices), image)
    done = bring(account, wish, choices)
    if rollback and not done["done"] and not choices.dry_run and not wish.options.previous_image:
        raise BadSettings("no image from before is known: say which, with --image")
    click.echo(json.dumps(done) if choices.as_json else in_short(done, choices))


def _wish(account: Account, told: tuple[Mapping[str, str], Mapping[str, str]], image: str | None) -> Wish:
    """Without an image: back to the one before or, where somebody has begun with that, on with it."""
    if not told[1]:
        raise NotFound(f"there is no deployment {account.name}: facefleet deploy makes one")
    standing = wish_of(account.name, told, {}, {})
    if image is not None:
        return wish_of(account.name, told, {}, {"image": image})
    back = replace(standing.options, image=standing.options.previous_image or standing.options.image, previous_image="")
    return replace(standing, options=back)
