//! What a person does in one browser window, and sees there. Things are named as a screen reader names them.

use std::collections::HashMap;

use fantoccini::Client;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::elements::{Element, ElementRef};
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::browser::{PATIENCE, pictures, say};

const FIND: &str = include_str!("find.js");

/// How often a text stands in the page: elements whose own text is exactly this one.
const COUNT: &str = r"
    const seen = [...document.querySelectorAll('body *')].filter((element) => element.checkVisibility());
    const own = (element) => [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join('');
    return seen.filter((element) => own(element).trim() === arguments[0]).length;
";

/// What is in sight of a list stands on each place in its middle column.
const SCROLL_UP: &str = r"
    const [list, frames, pixels, done] = arguments;
    let scroller = list.parentElement;
    while (scroller.scrollHeight <= scroller.clientHeight) scroller = scroller.parentElement;
    const { left, top, width, height } = scroller.getBoundingClientRect();
    const isEmpty = (share) => !document.elementFromPoint(left + width / 2, top + height * share)?.closest('[role=option]');
    let [frame, holes] = [0, 0];
    const step = () => {
        if (frame > 0 && [0.05, 0.5, 0.95].some(isEmpty)) holes += 1;
        if (frame === frames) return done(holes);
        frame += 1;
        scroller.scrollTop -= pixels;
        requestAnimationFrame(step);
    };
    step();
";

/// A command of Chromium's own protocol, which chromedriver passes on.
#[derive(Debug)]
struct ToChromium(Value);

impl WebDriverCompatibleCommand for ToChromium {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, ParseError> {
        base_url.join(&format!("session/{}/goog/cdp/execute", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _request_url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

#[derive(Clone)]
pub struct Window {
    driver: Client,
}

impl Window {
    pub fn new(driver: Client) -> Self {
        Self { driver }
    }

    pub async fn close(self) {
        let _ended_already = self.driver.close().await;
    }

    pub async fn go(&self, url: &str) {
        self.driver.goto(url).await.expect("the page opens");
    }

    /// The window's size, and what its owner prefers.
    pub async fn look(&self, width: u32, height: u32, dark: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tell_chromium("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.tell_chromium("Emulation.setEmulatedMedia", json!({ "features": [scheme] })).await;
    }

    /// The clock on the wall of its owner.
    pub async fn live_in(&self, time_zone: &str) {
        self.tell_chromium("Emulation.setTimezoneOverride", json!({ "timezoneId": time_zone })).await;
    }

    async fn tell_chromium(&self, command: &str, parameters: Value) -> Value {
        let command = ToChromium(json!({ "cmd": command, "params": parameters }));
        self.driver.issue_cmd(command).await.expect("Chromium does it")
    }

    /// What Chromium has counted of this page, after it has thrown away what nobody holds any more: `JSHeapUsedSize` in bytes,
    /// `Nodes`, `ThreadTime` in seconds of computing, …
    pub async fn measure(&self) -> HashMap<String, f64> {
        self.tell_chromium("Performance.enable", json!({})).await;
        self.tell_chromium("HeapProfiler.collectGarbage", json!({})).await;
        let answer = self.tell_chromium("Performance.getMetrics", json!({})).await;
        let metrics = answer["metrics"].as_array().expect("metrics");
        let entry = |metric: &Value| Some((metric["name"].as_str()?.to_owned(), metric["value"].as_f64()?));
        metrics.iter().filter_map(entry).collect()
    }

    /// Runs a function's body in the page.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.try_run(script, arguments).await.expect("the script runs")
    }

    async fn try_run(&self, script: &str, arguments: Vec<Value>) -> Result<Value, String> {
        self.driver.execute(script, arguments).await.map_err(|error| error.to_string())
    }

    /// What has this role and name, as the page tells it.
    async fn find_all(&self, role: &str, name: &str) -> Result<Vec<Value>, String> {
        let found = self.try_run(FIND, vec![json!(role), json!(name)]).await?;
        Ok(found.as_array().cloned().unwrap_or_default())
    }

    fn element(&self, found: &Value) -> Result<Element, String> {
        let id = found.as_object().and_then(|reference| reference.values().next()?.as_str());
        let id = ElementRef::from(id.ok_or("no element")?.to_owned());
        Ok(Element::from_element_id(self.driver.clone(), id))
    }

    async fn with_first<T>(&self, role: &str, name: &str, act: impl AsyncFn(Element) -> Result<T, CmdError>) -> T {
        self.eventually(&format!("{role} “{name}”"), async || {
            let found = self.find_all(role, name).await?;
            let first = self.element(found.first().ok_or("it is not there")?)?;
            act(first).await.map_err(|error| error.to_string())
        })
        .await
    }

    /// Waits a moment for something. A person would not wait longer.
    async fn eventually<T>(&self, what: &str, ask: impl AsyncFn() -> Result<T, String>) -> T {
        let start = tokio::time::Instant::now();
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(last) if start.elapsed() > PATIENCE => {
                    panic!("{what}: {last}; the page shows: {}", self.text().await)
                }
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    }

    pub async fn click(&self, role: &str, name: &str) {
        // The driver takes what stands behind a sticky footer for something in sight.
        const SCROLL: &str = "arguments[0].scrollIntoView({ block: 'nearest', inline: 'nearest' });";
        self.with_first(role, name, async |element| {
            self.driver.execute(SCROLL, vec![json!(element)]).await?;
            element.click().await
        })
        .await;
    }

    /// Presses the mouse's button on something, and holds it.
    pub async fn press_mouse_on(&self, role: &str, name: &str) {
        self.with_first(role, name, async |element| {
            let there = PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 };
            let press = PointerAction::Down { button: MOUSE_BUTTON_LEFT };
            self.driver.perform_actions(MouseActions::new("mouse".to_owned()).then(there).then(press)).await
        })
        .await;
    }

    /// Lets the mouse's button go.
    pub async fn release_mouse(&self) {
        let release = PointerAction::Up { button: MOUSE_BUTTON_LEFT };
        let actions = MouseActions::new("mouse".to_owned()).then(release);
        self.driver.perform_actions(actions).await.expect("the button is released");
    }

    /// Opens the three-dot menu of this name and chooses.
    pub async fn choose(&self, menu: &str, item: &str) {
        self.click("button", menu).await;
        self.click("menuitem", item).await;
    }

    /// Types into a field, after what stands there.
    pub async fn write(&self, field: &str, text: &str) {
        self.with_first("textbox", field, async |element| element.send_keys(text).await).await;
    }

    /// Presses a key, where the focus is.
    pub async fn press(&self, key: Key) {
        self.type_text(&char::from(key).to_string()).await;
    }

    /// Types, where the focus is.
    pub async fn type_text(&self, text: &str) {
        let keys = text.chars().fold(KeyActions::new("keyboard".to_owned()), |keys, value| {
            keys.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.driver.perform_actions(keys).await.expect("the keys are pressed");
    }

    /// Goes on with the Tab key until what is named so has the focus, as one does without a mouse.
    pub async fn tab_to(&self, role: &str, name: &str) {
        for _ in 0..60 {
            self.press(Key::Tab).await;
            if self.has_focus(role, name).await {
                return;
            }
        }
        panic!("the Tab key does not reach {role} “{name}”");
    }

    async fn has_focus(&self, role: &str, name: &str) -> bool {
        const HAS_FOCUS: &str = "return arguments[0] === document.activeElement;";
        for element in self.find_all(role, name).await.unwrap_or_default() {
            if self.run(HAS_FOCUS, vec![element]).await == true {
                return true;
            }
        }
        false
    }

    /// Waits until what is named so has the focus.
    pub async fn see_focus(&self, role: &str, name: &str) {
        const FOCUSED: &str = "return document.activeElement.outerHTML.slice(0, 200);";
        self.eventually(&format!("the focus on {role} “{name}”"), async || {
            if self.has_focus(role, name).await { Ok(()) } else { Err(self.run(FOCUSED, vec![]).await.to_string()) }
        })
        .await;
    }

    /// Scrolls up in the list of this name, by so many pixels a frame. Answers in how many frames a place in sight was empty.
    pub async fn scroll_up(&self, list: &str, frames: u32, pixels: u32) -> u64 {
        let lists = self.find_all("listbox", list).await.expect("the list is there");
        let list = lists.first().cloned().expect("the list is there");
        let answer = self.driver.execute_async(SCROLL_UP, vec![list, json!(frames), json!(pixels)]).await;
        answer.expect("the script runs").as_u64().expect("a count")
    }

    /// Everything that can be read.
    pub async fn text(&self) -> String {
        let text = self.try_run("return document.body.innerText;", vec![]).await;
        text.map_or_else(|error| error, |text| text.as_str().unwrap_or_default().to_owned())
    }

    pub async fn see(&self, text: &str) {
        self.eventually(&format!("“{text}” shows"), async || {
            if self.text().await.contains(text) { Ok(()) } else { Err("it does not".to_owned()) }
        })
        .await;
    }

    pub async fn see_no(&self, text: &str) {
        self.eventually(&format!("“{text}” goes"), async || {
            if self.text().await.contains(text) { Err("it does not".to_owned()) } else { Ok(()) }
        })
        .await;
    }

    /// Waits until the thing of this role and name is there.
    pub async fn see_a(&self, role: &str, name: &str) {
        self.with_first(role, name, async |_| Ok(())).await;
    }

    /// The messages of the open thread, as they read, oldest first.
    pub async fn messages(&self) -> Vec<String> {
        let texts =
            self.run("return [...document.querySelectorAll('article')].map((text) => text.innerText);", vec![]).await;
        let texts = texts.as_array().cloned().unwrap_or_default();
        texts.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until the open thread has exactly these messages, each with its text, in whatever order they came.
    pub async fn see_messages(&self, bodies: &[&str]) {
        self.eventually("the messages of the thread", async || {
            let shown = self.messages().await;
            let once = |body: &&str| shown.iter().filter(|text| text.contains(*body)).count() == 1;
            if shown.len() == bodies.len() && bodies.iter().all(once) { Ok(()) } else { Err(format!("{shown:?}")) }
        })
        .await;
    }

    /// Waits until a script says yes.
    pub async fn see_that(&self, what: &str, script: &str) {
        self.eventually(what, async || match self.try_run(script, vec![]).await? {
            Value::Bool(true) => Ok(()),
            other => Err(other.to_string()),
        })
        .await;
    }

    /// How many elements have exactly this text.
    pub async fn count(&self, text: &str) -> u64 {
        self.run(COUNT, vec![json!(text)]).await.as_u64().unwrap_or_default()
    }

    pub async fn is_there(&self, role: &str, name: &str) -> bool {
        self.find_all(role, name).await.is_ok_and(|found| !found.is_empty())
    }

    /// Whether something stands beside the window, so that one would have to scroll sideways, or cannot even do that. Tabs
    /// scroll by themselves.
    pub async fn is_too_wide(&self) -> bool {
        let script = "
            const isBeside = (each) => {
              const { left, right, width } = each.getBoundingClientRect();
              return width > 0 && (left < 0 || right > innerWidth) && !each.closest('[role=tablist]');
            };
            const parts = [...document.querySelectorAll('button, input, textarea, select')];
            return document.documentElement.scrollWidth > innerWidth || parts.some(isBeside);";
        self.run(script, vec![]).await == true
    }

    /// A picture of what shows now, in `target/console`.
    pub async fn save_picture(&self, name: &str) {
        let path = pictures().join(format!("{name}.png"));
        match self.driver.screenshot().await {
            Ok(picture) => std::fs::write(path, picture).expect("the picture is written"),
            Err(error) => say(&format!("no picture {}: {error}", path.display())),
        }
    }

    /// Runs a script that answers later, through the function that is its last argument.
    pub async fn run_long(&self, script: &str) -> Value {
        self.driver.execute_async(script, vec![]).await.expect("the script runs")
    }
}
