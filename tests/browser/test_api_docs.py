"""The pages on which other systems' developers read about the API."""

from playwright.sync_api import expect

from tests.browser.screens import SCREENSHOTS


def test_the_docs_of_the_api_open_without_complaints(open_page):
    page = open_page().context.new_page()  # of its own: nothing of another page counts
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("response", lambda answer: complaints.append(answer.url) if not answer.ok else None)
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.goto("/api/v1/docs")
    expect(page.get_by_role("heading", name="Runway")).to_be_visible()
    page.get_by_text("/api/v1/jobs", exact=True).first.click()
    expect(page.get_by_text("Responses").first).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "api-docs.png", full_page=True)
    assert complaints == []
