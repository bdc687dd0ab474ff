"""What is posted to a chat: one sentence about a run that needs attention, and a link to its job.

Slack's incoming webhooks take a text (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks),
Teams' workflows an Adaptive Card (https://adaptivecards.io). Neither checks a signature: whoever
knows the URL may post.
"""

from typing import Any

from django.conf import settings

from earthbeam.models import Run, Webhook

TEST = "This is a test message from Runway."
_SAID = {
    Run.Outcome.ERROR: "the run failed.",
    Run.Outcome.COMPLETE_WITH_ERRORS: "the ODS refused records.",
    Run.Outcome.COMPLETE_UNMATCHED: "rows are unmatched.",
}

_NO_EDU = "cross-year matching was left out, since EDU could not be used."


def is_worth_it(run: Run) -> bool:
    """Whether chats are told of the run: someone should look at it, or at the connection to EDU."""
    return run.outcome in _SAID or bool(run.edu_unavailable)


def message(format_: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return what is posted about ``body``, an event's detail, or as a test without a job."""
    text, link = TEST, settings.APP_URL
    if "jobId" in body:
        assessment = body["input"]["assessment"]
        known = _SAID.get(body["outcome"])
        said = known or "the run has ended."
        if body["eduUnavailable"] and body["status"] != Run.Status.ERROR:
            said = f"{known} Also, {_NO_EDU}" if known else _NO_EDU
        text = f"{assessment} for {body['tenant']}, {body['schoolYear']}: {said}"
        link = f"{settings.APP_URL}/admin/earthbeam/job/{body['jobId']}/change/"
    if format_ == Webhook.Format.SLACK:
        return {"text": f"{_escaped(text)} <{link}|Open it in Runway>"}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": text, "wrap": True}],
        "actions": [{"type": "Action.OpenUrl", "title": "Open it in Runway", "url": link}],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


def _escaped(text: str) -> str:
    """Escape what Slack would take for a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
