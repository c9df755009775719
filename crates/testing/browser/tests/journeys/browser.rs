//! chromedriver, and the browser windows that it opens. Everything ends with the journey.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fantoccini::ClientBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::window::Window;

/// `required`: a journey fails where there is no browser. Anything else: why there is none that works. Not set: a journey runs
/// where the programs are.
const VARIABLE: &str = "LEASELINE_TEST_BROWSER";

/// Where Debian and others put it.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

const ARGUMENTS: [&str; 8] = [
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--lang=en-US",
];

/// The two programs that a journey needs.
pub struct Programs {
    chromium: PathBuf,
    chromedriver: PathBuf,
}

impl Programs {
    /// `None`: this machine has no browser, which is said aloud, and nothing is to be done.
    ///
    /// # Panics
    /// When a browser is required and there is none.
    pub fn find(journey: &str) -> Option<Self> {
        const MISSING: &str = "chromium or chromedriver is not installed";
        let asked = std::env::var(VARIABLE).ok();
        let is_required = asked.as_deref() == Some("required");
        if is_required || asked.is_none() {
            let chromium = CHROMIUM.iter().find_map(|name| find_program(name));
            if let (Some(chromium), Some(chromedriver)) = (chromium, find_program("chromedriver")) {
                return Some(Self { chromium, chromedriver });
            }
            assert!(!is_required, "{MISSING}");
        }
        say(&format!("{journey}: left out: {}", asked.as_deref().unwrap_or(MISSING)));
        None
    }
}

/// Says something also where a test's output is kept back.
pub fn say(line: &str) {
    let _unheard = writeln!(std::io::stderr(), "\n{line}");
}

fn find_program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// One chromedriver with its windows; each window has a profile of its own, as if it were another person's machine.
pub struct Browser {
    programs: Programs,
    driver: Child,
    url: String,
    windows: Mutex<Vec<Window>>,
}

impl Browser {
    pub async fn start(programs: Programs) -> Self {
        let port = testkit::listener().await.local_addr().expect("an address").port();
        let driver = Command::new(&programs.chromedriver)
            .args([format!("--port={port}"), "--log-level=OFF".to_owned()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        Self { programs, driver, url: format!("http://127.0.0.1:{port}"), windows: Mutex::default() }
    }

    /// A new window, wide and light, where the phones' area code is.
    pub async fn open(&self) -> Window {
        // As root, Chromium has no sandbox of its own.
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain(["--no-sandbox"]).collect();
        let options = json!({ "binary": self.programs.chromium, "args": arguments });
        let Value::Object(capabilities) = json!({ "browserName": "chrome", "goog:chromeOptions": options }) else {
            unreachable!()
        };
        let driver = testkit::eventually("a browser window", async || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            builder.connect(&self.url).await.map_err(|error| error.to_string())
        })
        .await;
        let window = Window::new(driver);
        window.look(1280, 800, false).await;
        window.live_in("America/Los_Angeles").await;
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).push(window.clone());
        window
    }

    /// Ends everything. After a failure, pictures stay of what every window showed.
    pub async fn close(self, failed: Option<&str>) {
        let windows = std::mem::take(&mut *self.windows.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, window) in windows.into_iter().enumerate() {
            if let Some(journey) = failed {
                window.save_picture(&format!("failed-{journey}-{at}")).await;
            }
            window.close().await;
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ended_already = self.driver.kill();
        let _ended = self.driver.wait();
    }
}

/// Where pictures go: `target/console`.
pub fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("console");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    folder
}

/// How long a window may take for one thing.
pub const PATIENCE: Duration = Duration::from_secs(20);
