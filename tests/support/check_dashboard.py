#!/usr/bin/env python3
"""Looks at the dashboard of a real run in headless Chromium: tests/e2e/dashboard.bats.

    check_dashboard.py open   --url http://127.0.0.1:8080 --run run --folder .
    check_dashboard.py locked --url http://127.0.0.1:8080 --key KEY --folder .

It stops, continues and kills processes of that run by their ids in launcher.json. Exit code 0, or 1 with what is wrong.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import time
import urllib.request

from webdriver import ENTER, SHIFT, TAB, Browser, patience

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Wrong(Exception):
    pass


def expect(good, text):
    if not good:
        raise Wrong(text)


def ask(url, key=""):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    with OPENER.open(request, timeout=10) as answer:
        return answer.headers, answer.read()


def ask_json(url):
    return json.loads(ask(url)[1])


def process_id(run, name):
    told = json.loads((pathlib.Path(run) / "launcher.json").read_text(encoding="utf-8"))
    found = [child["pid"] for child in told["children"] if child["name"] == name]
    expect(found, f"launcher.json knows no {name}")
    return found[0]


def text_of(page, selector):
    return page.run("return document.querySelector(arguments[0])?.textContent ?? null", selector)


def wait_for_state(page, state, seconds=15):
    page.wait(seconds, "return document.getElementById('link').dataset.state === arguments[0]", state)


# ---- the checks; each takes a page that is open


def whole(x):
    return f"{x:,.0f}"


def expected_numbers(s):
    """selector -> what has to be there, for numbers that stand still while the student does."""
    rows = s["rows"]
    stat = '[data-stat="{}"]'.format
    flow = '[data-flow="{}"]'.format
    alive = [m for m in s["members"] if m["state"] == "alive"]
    share = s["student_time"]["compute"]
    return {
        "#run": s["run"],
        stat("labelled"): whole(rows["labelled"]),
        stat("rejected"): whole(rows["rejected"]),
        stat("step"): whole(s["step"]),
        stat("loss"): f"{s['loss']:.3f}",
        stat("grad_norm"): f"{s['grad_norm']:.2f}",
        stat("time.compute"): f"{share * 100:.1f}\u00a0%",
        flow("corpus.value"): whole(rows["total"]),
        flow("archive.value"): whole(rows["labelled"]),
        flow("archive.note"): f"{whole(rows['rejected'])} rejected",
        flow("labels.value"): whole(s["queues"]["labels"]),
        flow("batches.value"): whole(s["queues"]["batches"]),
        flow("teachers.value"): whole(sum(m["role"] == "teacher" for m in alive)),
        flow("students.value"): whole(sum(m["role"] == "student" for m in alive)),
        flow("server.value"): f"v{whole(s['step'])}",
        "#reasons": " ".join(f"{name} {whole(n)}" for name, n in s["rejected_by_reason"].items()),
    }


def numbers_are_those_of_stats(page, url):
    """The student stands still, so the page and /api/stats have to come to the same numbers."""
    wrong = {}
    for _ in range(int(40 * patience())):
        expected = expected_numbers(ask_json(f"{url}/api/stats"))
        shown = {selector: text_of(page, selector) for selector in expected}
        wrong = {k: (shown[k], expected[k]) for k in expected if shown[k] != expected[k]}
        if not wrong:
            break
        time.sleep(0.25)
    expect(not wrong, f"page and /api/stats differ (shown, expected): {wrong}")
    members = {m["name"]: m for m in ask_json(f"{url}/api/stats")["members"]}
    shown = page.run("return [...document.querySelectorAll('#workers tr')].map((r) => r.children[0].lastChild.textContent)")
    expect(sorted(shown) == sorted(members), f"workers: {shown}, expected {sorted(members)}")


def nothing_is_missing(page, url):
    """All of the history is drawn, not only what came since the page was opened."""
    for _ in range(int(40 * patience())):
        there = len(ask_json(f"{url}/api/history")["points"])
        drawn = int(page.run("return document.getElementById('curve-tokens').dataset.points"))
        events = page.run("return document.querySelectorAll('#events li').length")
        if there > 1 and abs(there - drawn) <= 2 and abs(len(ask_json(f"{url}/api/events")["events"]) - events) <= 1:
            return
        time.sleep(0.25)
    raise Wrong(f"of {there} points {drawn} are drawn, and {events} events are shown")


def curves_are_drawn(page, url):
    nothing_is_missing(page, url)
    history = ask_json(f"{url}/api/history")
    for curve in ("loss", "tokens", "backlog", "labels"):
        page.run("document.getElementById(`curve-${arguments[0]}`).scrollIntoView()", curve)
        drawn = page.wait(10, """
            const canvas = document.querySelector(`#curve-${arguments[0]} canvas`);
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return data.some((byte) => byte !== 0) && canvas.getAttribute('aria-label')""", curve)
        expect(drawn and "nothing is measured" not in drawn, f"curve {curve}: {drawn!r}")
    page.run("document.querySelector('#curve-tokens summary').click()")
    page.wait(3, "return document.querySelectorAll('#curve-tokens tbody tr').length > 1")
    task = next(iter(history["points"][-1]["losses"]))
    expect(task in text_of(page, "#curve-loss").lower() or task in page.run(
        "return document.querySelector('#curve-loss canvas').getAttribute('aria-label')"), f"no curve of {task}")


def rows_are_text(page):
    """The last row of the corpus is full of markup and Japanese: all of it is shown, none of it is an element."""
    page.wait(10, "return document.getElementById('labelled').textContent.includes('太郎')")
    row = page.run("""
        const row = [...document.querySelectorAll('#labelled .row')].find((r) => r.textContent.includes('太郎'));
        return {text: row.textContent, made: row.querySelectorAll('img, script, b, a').length}""")
    expect("<img src=x onerror=" in row["text"] and "<script>" in row["text"], f"markup is not shown as text: {row['text']}")
    expect(row["made"] == 0, "markup of a row became elements")
    expect(page.run("return window.broken === undefined"), "a script of a row ran")
    rejected = text_of(page, "#rejected")
    expect("no_marker" in rejected and "What is missing?" in rejected, f"rejected rows: {rejected!r}")
    expect(page.run("return document.querySelectorAll('#events li').length > 0"), "no events are shown")


def phone_fits(page, shots):
    for width in (360, 320):
        page.size(width, 740, mobile=True)
        time.sleep(0.5)
        wide = page.run("return document.documentElement.scrollWidth")
        over = page.run("""return [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility()
            && !e.closest('.visually-hidden, .scroll, thead, .skip') && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + '.' + e.getAttribute('class')).slice(0, 5)""")
        expect(wide <= width and not over, f"at {width} px the page is {wide} px wide; beyond the edge: {over}")
        small = page.run("""return [...document.querySelectorAll('main button, main select, header button, header select')]
            .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 24).map((e) => e.textContent)""")
        expect(not small, f"too small to touch: {small}")
    shoot(page, shots, "dashboard-phone", 360, 740, "light")
    page.size(1360, 900)


def keyboard_reaches_everything(page):
    page.run("""window.reached = new Set(); window.unseen = []; document.activeElement.blur(); scrollTo(0, 0);
        window.wanted = () => [...document.querySelectorAll('a[href], button, select, input, summary, [tabindex="0"]')]
          .filter((e) => e.getClientRects().length > 0 && !e.disabled && e.checkVisibility())""")
    page.press(TAB)
    expect(page.run("return document.activeElement.className") == "skip", "the first stop is not the skip link")
    for _ in range(150):
        state = page.run("""const e = document.activeElement;
            if (e === document.body || reached.has(e)) return 'round';
            reached.add(e);
            const style = getComputedStyle(e);
            if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) === 0) unseen.push(e.outerHTML.slice(0, 80));""")
        if state == "round":
            break
        page.press(TAB)
    missed = page.run("return wanted().filter((e) => !reached.has(e)).map((e) => e.outerHTML.slice(0, 120))")
    expect(not missed, f"not reached with Tab: {missed}")
    unseen = page.run("return unseen")
    expect(not unseen, f"focus is not to be seen on {unseen}")
    page.run("document.querySelector('#hold').focus()")
    page.press(ENTER)
    expect(page.run("return document.querySelector('#hold').getAttribute('aria-pressed')") == "true", "Enter does not hold")
    page.press(ENTER)
    page.press(SHIFT, TAB)
    page.run("document.querySelector('.skip').focus()")
    page.press(ENTER)
    expect(page.run("return document.activeElement.id") == "main", "the skip link leads nowhere")


def nothing_from_elsewhere(page, url):
    complaints = [entry for entry in page.log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    expect(not complaints, f"the console says {complaints}")
    asked = []
    for entry in page.log("performance"):
        message = json.loads(entry["message"])["message"]
        asker = message["params"].get("documentURL", "")
        if message["method"] == "Network.requestWillBeSent" and not asker.startswith("chrome:"):  # the browser's first tab
            asked.append(message["params"]["request"]["url"])
    elsewhere = [address for address in asked if not address.startswith(url + "/")]
    expect(asked and not elsewhere, f"asked beyond its origin: {elsewhere}")
    policy = ask(f"{url}/")[0].get("Content-Security-Policy", "")
    expect("default-src 'none'" in policy or "default-src 'self'" in policy, f"Content-Security-Policy: {policy!r}")
    expect("unsafe" not in policy, f"Content-Security-Policy: {policy!r}")


def parts_answer_alone(page):
    """The stream's cutter takes any cuts and line ends; pauses grow and end; numbers read as people write them."""
    told = page.run("""
        const stream = ': beat\\r\\nevent: stats\\r\\ndata: {"a":\\r\\ndata: 1}\\r\\n\\r\\ndata:x\\n\\nevent: point\\n\\n';
        return import('/assets/link.js').then(({ EventCutter, pauseMs }) => {
          const seen = new Set();
          for (let i = 0; i <= stream.length; i++) {
            const cutter = new EventCutter();
            seen.add(JSON.stringify([...cutter.feed(stream.slice(0, i)), ...cutter.feed(stream.slice(i))]));
          }
          return [[...seen], [0, 1, 5, 60].map((n) => pauseMs(n, 0.5))];
        })""")
    whole_stream = [{"event": "stats", "data": '{"a":\n1}'}, {"event": "message", "data": "x"}]
    expect([json.loads(text) for text in told[0]] == [whole_stream], f"events of a stream cut anywhere: {told[0]}")
    expect(told[1] == [500, 1000, 15000, 15000], f"pauses before tries: {told[1]}")
    written = page.run("""return import('/assets/format.js').then((f) => [f.short(0.1234), f.short(31240), f.short(14), f.count(9973),
        f.percent(0.9999), f.percent(1), f.percent(null), f.duration(7), f.duration(3723), f.duration(-1), f.money(1.254, 'USD')])""")
    expect(written == ["0.12", "31.2k", "14", "9,973", "99\u00a0%", "100\u00a0%", "–", "0:07", "1:02:03", "–", "1.25\u00a0USD"],
           f"numbers as text: {written}")


def goes_on_by_itself(page):
    step = page.run("return Number(document.querySelector('[data-stat=step]').textContent.replaceAll(',', ''))")
    page.wait(20, "return Number(document.querySelector('[data-stat=step]').textContent.replaceAll(',', '')) > arguments[0]", step)


def old_picture_is_marked(page, run):
    pid = process_id(run, "coordinator")
    os.kill(pid, signal.SIGSTOP)
    try:
        page.wait(15, "return document.body.classList.contains('stale')")
        page.wait(10, "return /Stale|Lost|Connecting; the picture/.test(document.getElementById('link-text').textContent)")
    finally:
        os.kill(pid, signal.SIGCONT)
    page.wait(40, "return document.getElementById('link').dataset.state === 'live' && !document.body.classList.contains('stale')")


def comes_back_after_a_restart(page, run, url):
    before = process_id(run, "coordinator")
    os.kill(before, signal.SIGKILL)
    page.wait(10, "return ['lost', 'connecting'].includes(document.getElementById('link').dataset.state)")
    wait_for_state(page, "live", 60)
    page.wait(20, "return document.getElementById('about').textContent.includes(`coordinator ${arguments[0]} `) === false", before)
    goes_on_by_itself(page)
    nothing_is_missing(page, url)
    odd = [e for e in page.log("browser") if e["level"] == "SEVERE" and "net::ERR_" not in e["message"] and "/api/" not in e["message"]]
    expect(not odd, f"after a restart the console says {odd}")
    expect(ask_json(f"{url}/api/stats")["pid"] != before, "the coordinator was not started again")


def shoot(page, folder, name, width, height, scheme):
    if folder is None:
        return
    page.size(width, height, mobile=width < 600, scale=1)
    page.prefer(prefers_color_scheme=scheme)
    page.run("scrollTo(0, 0)")
    time.sleep(1.5)
    page.picture(pathlib.Path(folder) / f"{name}.png")
    page.prefer(prefers_color_scheme="light")


def check_open(page, arguments):
    url, run = arguments.url, arguments.run
    page.open(f"{url}/")
    wait_for_state(page, "live")
    page.wait(30, "return Number((document.querySelector('[data-stat=step]')?.textContent ?? '0').replaceAll(',', '')) >= 5")
    goes_on_by_itself(page)
    shoot(page, arguments.shots, "dashboard-light", 1360, 900, "light")
    shoot(page, arguments.shots, "dashboard-dark", 1360, 900, "dark")
    rows_are_text(page)
    student = process_id(run, "student-0")
    os.kill(student, signal.SIGSTOP)
    try:
        numbers_are_those_of_stats(page, url)
        curves_are_drawn(page, url)
        keyboard_reaches_everything(page)
        phone_fits(page, arguments.shots)
    finally:
        os.kill(student, signal.SIGCONT)
    goes_on_by_itself(page)
    parts_answer_alone(page)
    nothing_from_elsewhere(page, url)
    old_picture_is_marked(page, run)
    comes_back_after_a_restart(page, run, url)


def check_locked(page, arguments):
    page.open(f"{arguments.url}/")
    page.wait(15, "return document.getElementById('key-dialog').open")
    page.run("document.getElementById('key').focus()")
    page.write("guess")
    page.press(ENTER)
    page.wait(10, "return document.getElementById('key-dialog').open && !document.getElementById('key-wrong').hidden")
    page.write(arguments.key)
    page.press(ENTER)
    wait_for_state(page, "live")
    page.wait(10, "return !document.getElementById('key-dialog').open && document.getElementById('tiles').children.length > 0")
    kept = page.run("return [sessionStorage.length, JSON.stringify({...localStorage}) + location.href + document.documentElement.outerHTML]")
    expect(kept[0] == 1, "the key is not kept for this tab")
    expect(arguments.key not in kept[1], "the key is kept where it outlives the tab, or is written into the page")
    page.open(f"{arguments.url}/")
    wait_for_state(page, "live")


CHECKS = {"open": check_open, "locked": check_locked}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", required=True, help="for the browser's own files")
    parser.add_argument("--run", default="run")
    parser.add_argument("--key", default="")
    parser.add_argument("--shots", help="a folder for pictures")
    arguments = parser.parse_args()
    with Browser(arguments.folder) as page:
        try:
            CHECKS[arguments.check](page, arguments)
        except Exception as error:
            page.picture(pathlib.Path(arguments.folder) / "dashboard-wrong.png", whole=True)
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            print(f"link: {text_of(page, '#link-text')}; console: {page.log('browser')}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
