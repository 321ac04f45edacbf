"""Opens a report in headless Chromium and uses it as a reader would.

    python3 check.py BROWSER report.html [FOLDER]

Checks that nothing is said on the console and nothing is fetched, that no link is broken, that every drawing is there, that
values appear under the pointer, at a tap and with the arrow keys, that the model switch hides what belongs to others, that
tables are sorted, that what is chosen stands in the address, that drawings and numbers can be saved, that text can be read
in light and in dark, and that the page fits a telephone. Pictures of the page go to FOLDER, where it is given.
The browser is spoken to through its debugging pipe; only the standard library of Python is needed. With
`npm install --prefix crates/report/tests/report`, or AXE naming an axe.min.js, axe-core looks for barriers too.
"""

import base64
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time
import urllib.parse
import xml.etree.ElementTree

TIMEOUT = 120  # seconds for the browser to answer


class Browser:
    def __init__(self, program, folder):
        into, self.write = os.pipe()
        self.read, out = os.pipe()

        def pipes():
            # The browser reads commands from 3 and writes answers to 4. Copies first: the numbers may be in use.
            copies = os.dup(into), os.dup(out)
            os.dup2(copies[0], 3)
            os.dup2(copies[1], 4)

        self.process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--force-color-profile=srgb",
                f"--user-data-dir={folder}",
                "--remote-debugging-pipe",
                "about:blank",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=pipes,
            close_fds=False,
        )
        os.close(into)
        os.close(out)
        self.pending = b""
        self.number = 0
        self.events = []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def message(self, until):
        while b"\0" not in self.pending:
            ready, _, _ = select.select([self.read], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.read, 1 << 20)
            if not part:
                raise EOFError("the browser has ended")
            self.pending += part
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.write, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + TIMEOUT
        while True:
            message = self.message(until)
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait(self, event):
        until = time.monotonic() + TIMEOUT
        while not any(message.get("method") == event for message in self.events):
            self.events.append(self.message(until))

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def close(self):
        self.process.kill()
        self.process.wait()


# Runs in the page: where a mark of the first visible drawing that has marks lies, scrolled into view.
MARK = """(() => {
  const plot = [...document.querySelectorAll('.drawing:not([hidden]) .plot')].find((plot) => plot.querySelector('[data-value]'));
  plot.scrollIntoView({ block: 'center' });
  const marks = plot.querySelectorAll('[data-value]');
  const mark = marks[Math.min(%d, marks.length - 1)];
  const box = mark.getBoundingClientRect();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2, value: mark.dataset.value };
})()"""

TIP = """(() => {
  const tip = document.getElementById('value');
  const box = tip.getBoundingClientRect();
  const inside = box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight;
  return tip.hidden ? null : { text: tip.textContent, inside };
})()"""

# Lowest contrast, as in WCAG 2, of visible text with what is behind it, outside the drawings.
CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = (value) => ((value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let least = { ratio: 21, text: '' };
  for (const element of document.querySelectorAll('body *:not(svg, svg *, script)')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.getClientRects().length === 0) continue;
    const [a, b] = [parse(getComputedStyle(element).color), behind(element)].map((c) => luminance(c) + 0.05);
    const ratio = Math.max(a, b) / Math.min(a, b);
    if (ratio < least.ratio) least = { ratio, text: element.textContent.slice(0, 60) };
  }
  return { ...least, page: luminance(behind(document.body)), card: luminance(behind(document.querySelector('.plot'))) };
})()"""

AXE = os.environ.get("AXE") or pathlib.Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

BARRIERS = """axe.run(document, { resultTypes: ['violations'] }).then((found) =>
  found.violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.slice(0, 3).map((node) => node.target).join(', ')}`))"""

# Links of the page: those into it that lead nowhere, and the paths of files beside it.
LINKS = """(() => {
  const links = [...document.querySelectorAll('a')].map((link) => link.getAttribute('href'));
  const into = links.filter((link) => link.startsWith('#'));
  return {
    broken: into.filter((link) => !document.getElementById(decodeURIComponent(link.slice(1)))),
    beside: links.filter((link) => link.startsWith('./')),
    away: links.filter((link) => !/^(#|[.][/]|https:[/][/])/.test(link)),
  };
})()"""

UNFOLD = "for (const details of document.querySelectorAll('details')) details.open = %s"

SHOWN = """(() => {
  const drawings = [...document.querySelectorAll('.drawing')].filter((drawing) => !drawing.hidden);
  const box = (drawing) => drawing.querySelector('svg').getBoundingClientRect();
  const glyphs = [...document.querySelectorAll('.drawing:not([hidden]) use')].slice(0, 200);
  return {
    of: drawings.map((drawing) => drawing.dataset.of),
    empty: drawings.filter((drawing) => box(drawing).width < 100 || box(drawing).height < 50).length,
    blank: glyphs.filter((glyph) => glyph.getBBox().width === 0).length,
    absent: [...document.querySelectorAll('.absent')].filter((note) => !note.hidden).length,
    rows: [...document.querySelectorAll('[data-model]')].filter((row) => !row.hidden).map((row) => row.dataset.model),
  };
})()"""


def check(browser, page, pictures):
    faults = []

    def expect(holds, what):
        if not holds:
            faults.append(what)

    def picture(name, full=False):
        if pictures is None:
            return
        options = {"captureBeyondViewport": True} if full else {}
        if full:
            size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
            height = min(size["height"], 6000)
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}
        data = browser.call("Page.captureScreenshot", format="png", **options)["data"]
        (pictures / f"{name}.png").write_bytes(base64.b64decode(data))

    def screen(width, height, mobile):
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
        browser.call("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def media(**features):
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        browser.call("Emulation.setEmulatedMedia", media="", features=listed)

    def mouse(kind, x, y):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none")

    def choose(index):
        return browser.run(
            f"(() => {{ const s = document.getElementById('model'); s.selectedIndex = {index};"
            " s.dispatchEvent(new Event('change')); return s.value; })()"
        )

    for domain in ["Page", "Runtime", "Log", "Network"]:
        browser.call(f"{domain}.enable")
    screen(1280, 900, False)
    media(prefers_color_scheme="light")
    def load(address):
        browser.events = [event for event in browser.events if event.get("method") != "Page.loadEventFired"]
        browser.call("Page.navigate", url=address)
        browser.wait("Page.loadEventFired")

    def barriers(where):
        if AXE_SOURCE is None:
            return
        browser.run(AXE_SOURCE + ";0")
        for barrier in browser.run(BARRIERS):
            faults.append(f"{where}: {barrier}")

    load(page.as_uri())
    browser.run("scrollTo(0, 0)")
    picture("folded", full=True)
    barriers("folded")

    # Links.
    links = browser.run(LINKS)
    expect(not links["broken"], f"links lead nowhere: {links['broken']}")
    expect(not links["away"], f"links lead away: {links['away']}")
    for link in links["beside"]:
        expect((page.parent / urllib.parse.unquote(link)).is_file(), f"a link leads to no file: {link}")

    # A link unfolds what it leads to.
    last = browser.run(
        "(() => { const part = [...document.querySelectorAll('details.part:not([open])')].pop();"
        " location.hash = part.querySelector('.body').id;"
        " return new Promise((done) => setTimeout(() => done(part.open), 50)); })()"
    )
    expect(last, "a link does not unfold the part that it leads to")

    # The table of verdicts, whole in a window of 1,200 px, and in the order of its columns.
    screen(1200, 900, False)
    cut = browser.run("(() => { const t = document.querySelector('.glance'); return t.scrollWidth - t.parentElement.clientWidth; })()")
    expect(cut <= 0, f"the table of verdicts is {cut} px too wide for a window of 1200")
    screen(1280, 900, False)
    column = (
        "[...document.querySelectorAll('.sortable tbody tr')].map((row) => row.cells[1].dataset.order).join('')"
    )
    browser.run("document.querySelectorAll('.sortable thead button')[1].click()")
    ascending = browser.run(column)
    browser.run("document.querySelectorAll('.sortable thead button')[1].click()")
    descending = browser.run(column)
    expect(list(ascending) == sorted(ascending), f"the verdicts are not sorted: {ascending}")
    expect(descending == ascending[::-1] and len(set(descending)) > 1, f"not turned round: {descending}")

    # What is chosen stands in the address.
    model = choose(1)
    address = browser.run("location.href")
    load("about:blank")
    load(address)
    chosen = browser.run("document.getElementById('model').value")
    expect(chosen == model, f"{address} chooses {chosen!r}, not {model!r}")
    expect(browser.run(column) == descending, f"{address} does not sort")
    load(page.as_uri())
    browser.run(UNFOLD % "true")

    # Files of the page itself.
    with tempfile.TemporaryDirectory() as folder:
        browser.session, session = None, browser.session
        browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
        browser.session = session

        def saved(button, suffix):
            browser.run(f"document.querySelector('[data-save=\"{button}\"]').click()")
            until = time.monotonic() + 20
            while time.monotonic() < until:
                found = list(pathlib.Path(folder).glob(f"*{suffix}"))
                if found and found[0].stat().st_size > 0:
                    return found[0].read_bytes()
                time.sleep(0.05)
            faults.append(f"no {suffix} was saved")
            return None

        drawing = saved("SVG", ".svg")
        if drawing is not None:
            root = xml.etree.ElementTree.fromstring(drawing)
            ids = {element.get("id") for element in root.iter()}
            uses = [element.get("href")[1:] for element in root.iter() if element.tag.endswith("}use")]
            expect(uses and set(uses) <= ids, "a saved drawing lacks glyphs")
            told = "".join(element.text for element in root.iter() if element.tag.endswith("}desc"))
            expect(told.endswith(" layerwise 0.1.0."), f"a saved drawing says of itself {told!r}")
        image = saved("PNG", ".png")
        if image is not None:
            expect(image[:8] == b"\x89PNG\r\n\x1a\n" and len(image) > 10_000, "a saved picture is none")
        rows = saved("CSV", ".csv")
        if rows is not None:
            expect(rows.count(b"\n") > 12 and rows.startswith(b"model,"), f"saved rows: {rows[:80]}")

    # Drawings, and what the model switch makes of them.
    models = browser.run("document.getElementById('model').options.length")
    drawings = browser.run("document.querySelectorAll('.drawing').length")
    sections = browser.run("document.querySelectorAll('details.part:has(.drawing)').length")
    expect(drawings > 0 and models > 1, f"{drawings} drawings, {models - 1} models")
    for index in list(range(models)) + [0]:
        model = choose(index)
        shown = browser.run(SHOWN)
        expect(shown["empty"] == 0, f"{shown['empty']} drawings have no extent")
        expect(shown["blank"] == 0, f"{shown['blank']} glyphs have no outline")
        expect(len(shown["of"]) + shown["absent"] >= sections, f"a section of {model!r} has no drawing")
        if index > 0:
            others = {of for of in shown["of"] + shown["rows"] if of not in ("", model)}
            expect(not others, f"with {model!r} chosen, {others} are shown")
            expect(model in shown["of"], f"nothing of {model!r} is shown")

    # Values under the pointer, with keys, and gone again.
    for which in (0, 3, 9):
        mark = browser.run(MARK % which)
        mouse("mouseMoved", mark["x"] + 3, mark["y"])
        tip = browser.run(TIP)
        expect(tip is not None and tip["inside"], f"no value under the pointer: {tip}")
        mouse("mouseMoved", mark["x"], mark["y"])
        tip = browser.run(TIP)
        expect(tip and tip["text"] == mark["value"], f"the pointer shows {tip}, not {mark}")
    picture("hover")
    mouse("mouseMoved", 2, 2)
    expect(browser.run(TIP) is None, "a value stays after the pointer has left")
    browser.run("document.querySelector('.drawing:not([hidden]) .plot').focus()")
    seen = []
    for key in ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home"]:
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        seen.append((browser.run(TIP) or {}).get("text"))
    distinct = None not in seen and seen[0] != seen[1] and seen[3] != seen[0]
    expect(distinct and seen[2] == seen[5] == seen[0] and seen[4] == seen[3], f"arrow keys show {seen}")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    expect(browser.run(TIP) is None, "Escape does not hide the value")

    # Light and dark.
    for scheme in ("light", "dark"):
        media(prefers_color_scheme=scheme)
        contrast = browser.run(CONTRAST)
        expect(contrast["ratio"] >= 4.5, f"{scheme}: contrast {contrast['ratio']:.2f} of {contrast['text']!r}")
        expect((contrast["page"] > 0.5) == (scheme == "light"), f"{scheme}: the page is not {scheme}")
        expect(contrast["card"] > 0.9, f"{scheme}: drawings are not on white")
        barriers(scheme)
        browser.run("scrollTo(0, 0)")
        picture(scheme, full=True)

    # A telephone, with taps.
    screen(360, 740, True)
    for index in range(models):
        choose(index)
        browser.run(UNFOLD % "true")
        width = browser.run("document.documentElement.scrollWidth")
        expect(width <= 360, f"the page is {width} wide on a screen of 360")
    mark = browser.run(MARK % 2)
    touch = [{"x": mark["x"], "y": mark["y"]}]
    browser.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=touch)
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    browser.run("new Promise((done) => setTimeout(done, 100))")
    tip = browser.run(TIP)
    expect(tip is not None and tip["inside"], f"no value at a tap: {tip}")
    picture("telephone-tap")
    choose(0)
    barriers("telephone")
    browser.run(UNFOLD % "false")
    browser.run("scrollTo(0, 0)")
    picture("telephone", full=True)

    # Paper.
    screen(800, 1000, False)
    media(prefers_color_scheme="light")
    browser.call("Emulation.setEmulatedMedia", media="print")
    bar = browser.run("getComputedStyle(document.querySelector('.bar')).display")
    expect(bar == "none", "the bar is printed")
    if pictures is not None:
        data = browser.call("Page.printToPDF", printBackground=True)["data"]
        (pictures / "print.pdf").write_bytes(base64.b64decode(data))

    OWN = (page.as_uri(), "about:blank", "blob:")
    for event in browser.events:
        method, said = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            faults.append(f"exception: {said['exceptionDetails']}")
        elif method == "Runtime.consoleAPICalled":
            faults.append(f"console: {said['args']}")
        elif method == "Log.entryAdded":
            faults.append(f"log: {said['entry'].get('text')}")
        elif method == "Network.requestWillBeSent" and not said["request"]["url"].startswith(OWN):
            faults.append(f"request: {said['request']['url']}")
    return faults, drawings


AXE_SOURCE = pathlib.Path(AXE).read_text() if pathlib.Path(AXE).is_file() else None


def main(program, page, pictures=None):
    page = pathlib.Path(page).resolve()
    if pictures is not None:
        pictures = pathlib.Path(pictures)
        pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(program, folder)
        try:
            faults, drawings = check(browser, page, pictures)
        finally:
            browser.close()
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    told = "axe-core" if AXE_SOURCE is not None else "without axe-core"
    print(f"{drawings} drawings, links, files, keys, taps, models, light, dark, telephone, paper, {told}: as they should be")


if __name__ == "__main__":
    main(*sys.argv[1:])
