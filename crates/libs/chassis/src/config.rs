//! Settings in three layers: compiled-in commented defaults < file < environment.
//!
//! The defaults file is the reference: every setting stands in it, so it says which names exist. The variable of
//! `database.url` is `LEASELINE_DATABASE_URL`; only known names are looked up, so foreign `LEASELINE_…` variables
//! do no harm. `LEASELINE_DATABASE_URL_FILE` reads the value from a file, for secrets. An unknown key in the
//! file is refused, because it is a typing error. A secret is never printed, whatever is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ::config::{Config, File, FileFormat, Value, ValueKind};
use serde::de::DeserializeOwned;

/// Why the settings cannot be used. Each sentence says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the compiled-in defaults are not usable")]
    Defaults(#[source] ::config::ConfigError),
    #[error("the compiled-in settings `{first}` and `{second}` claim the same environment variable; rename one")]
    Ambiguous { first: String, second: String },
    #[error("cannot read the settings file {}; check the path and its permissions", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the settings file {} is not valid TOML", path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: ::config::ConfigError,
    },
    #[error("the settings file {} has unknown settings: {}; see --print-config for the names", path.display(), keys.join(", "))]
    UnknownKeys { path: PathBuf, keys: Vec<String> },
    #[error("{variable} and {variable}_FILE are both set; unset one of them")]
    SetTwice { variable: String },
    #[error("{variable}_FILE names {}, which cannot be read", path.display())]
    UnreadableSecret {
        variable: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{variable} must be {expected}")]
    WrongType { variable: String, expected: &'static str },
    #[error("a setting cannot be used")]
    Shape(#[source] ::config::ConfigError),
}

/// Reads the settings of a service.
///
/// `environment` answers what a variable is set to; [`environment`] is the real one.
pub fn load<T: DeserializeOwned>(
    defaults_toml: &'static str,
    file: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<T, ConfigError> {
    let defaults = parse(defaults_toml).map_err(ConfigError::Defaults)?;
    let known = flatten(&defaults);
    refuse_ambiguous(&known)?;

    let mut builder = Config::builder().add_source(defaults);
    if let Some(path) = file {
        builder = builder.add_source(read_file(path, &known)?);
    }
    for (key, default) in &known {
        let variable = variable_of(key);
        if let Some(text) = read_variable(&variable, environment)? {
            let value = parse_variable(&variable, &text, default)?;
            builder = builder.set_override(key, value).map_err(ConfigError::Shape)?;
        }
    }
    builder.build().and_then(Config::try_deserialize).map_err(ConfigError::Shape)
}

/// The variable of this process's environment. One that is not UTF-8 counts as not set.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Every setting as (key, environment variable, default), sorted by key. For documentation and tests.
pub fn names(defaults_toml: &str) -> Result<Vec<(String, String, String)>, ConfigError> {
    let known = flatten(&parse(defaults_toml).map_err(ConfigError::Defaults)?);
    refuse_ambiguous(&known)?;
    Ok(known
        .into_iter()
        .map(|(key, default)| {
            let variable = variable_of(&key);
            (key, variable, default.to_string())
        })
        .collect())
}

fn parse(toml: &str) -> Result<Config, ::config::ConfigError> {
    Config::builder().add_source(File::from_str(toml, FileFormat::Toml)).build()
}

fn read_file(path: &Path, known: &BTreeMap<String, Value>) -> Result<Config, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let layer = parse(&text).map_err(|source| ConfigError::Malformed { path: path.to_owned(), source })?;
    let keys: Vec<String> = flatten(&layer).into_keys().filter(|key| !known.contains_key(key)).collect();
    if keys.is_empty() { Ok(layer) } else { Err(ConfigError::UnknownKeys { path: path.to_owned(), keys }) }
}

fn flatten(layer: &Config) -> BTreeMap<String, Value> {
    fn visit(prefix: &str, value: &Value, leaves: &mut BTreeMap<String, Value>) {
        if let ValueKind::Table(table) = &value.kind {
            for (name, value) in table {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                visit(&key, value, leaves);
            }
        } else {
            leaves.insert(prefix.to_owned(), value.clone());
        }
    }
    let mut leaves = BTreeMap::new();
    visit("", &layer.cache, &mut leaves);
    leaves
}

fn variable_of(key: &str) -> String {
    format!("LEASELINE_{}", key.replace('.', "_").to_uppercase())
}

/// `a.b_c` and `a_b.c` would share a variable, and so would `key_file` with the `_FILE` form of `key`.
fn refuse_ambiguous(known: &BTreeMap<String, Value>) -> Result<(), ConfigError> {
    let mut taken: BTreeMap<String, &String> = BTreeMap::new();
    for key in known.keys() {
        let variable = variable_of(key);
        let forms = BTreeSet::from([format!("{variable}_FILE"), variable]);
        for form in forms {
            if let Some(first) = taken.insert(form, key) {
                return Err(ConfigError::Ambiguous { first: first.clone(), second: key.clone() });
            }
        }
    }
    Ok(())
}

fn read_variable(variable: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
    let direct = environment(variable);
    let Some(path) = environment(&format!("{variable}_FILE")) else {
        return Ok(direct);
    };
    if direct.is_some() {
        return Err(ConfigError::SetTwice { variable: variable.to_owned() });
    }
    let path = PathBuf::from(path);
    let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::UnreadableSecret {
        variable: variable.to_owned(),
        path,
        source,
    })?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The default's type says how the text is read. Lists are separated by commas.
fn parse_variable(variable: &str, text: &str, default: &Value) -> Result<ValueKind, ConfigError> {
    let wrong = |expected| ConfigError::WrongType { variable: variable.to_owned(), expected };
    Ok(match &default.kind {
        ValueKind::Boolean(_) => text.parse::<bool>().map_err(|_| wrong("true or false"))?.into(),
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => {
            text.parse::<i64>().map_err(|_| wrong("a whole number"))?.into()
        }
        ValueKind::Float(_) => text.parse::<f64>().map_err(|_| wrong("a number"))?.into(),
        ValueKind::Array(_) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>().into()
        }
        ValueKind::String(_) | ValueKind::Nil | ValueKind::Table(_) => text.into(),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{DatabaseSettings, ProcessSettings};

    const DEFAULTS: &str = r#"
        # Who may call from a browser.
        allowed_origins = ["http://localhost:5173"]
        [database]
        url = ""
        max_connections = 10
        acquire_timeout_ms = 2000
        statement_timeout_ms = 15000
        [admin]
        listen = "127.0.0.1:9100"
        [log]
        format = "json"
        filter = "info"
        [tracing]
        otlp_endpoint = ""
        sample_ratio = 0.1
        [shutdown]
        deadline_s = 20
    "#;

    #[derive(Debug, Deserialize)]
    struct Settings {
        allowed_origins: Vec<String>,
        database: DatabaseSettings,
        #[serde(flatten)]
        process: ProcessSettings,
    }

    fn load_with(file: Option<&Path>, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        load(DEFAULTS, file, &|name| {
            let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
            Some((*value).to_owned())
        })
    }

    /// A file that is gone when the test is.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(text: &str) -> Self {
            let name = format!("chassis-{}-{:x}", std::process::id(), rand::random::<u64>());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, text).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_file_wins_over_the_defaults_and_the_environment_over_the_file() {
        let file = Scratch::new("[database]\nmax_connections = 20\nacquire_timeout_ms = 1\n");
        let variables = [
            ("LEASELINE_DATABASE_MAX_CONNECTIONS", "30"),
            ("LEASELINE_TRACING_SAMPLE_RATIO", "1"),
            ("LEASELINE_LOG_FORMAT", "pretty"),
        ];
        let settings = load_with(Some(&file.0), &variables).unwrap();
        assert_eq!(settings.database.max_connections, 30);
        assert_eq!(settings.database.acquire_timeout_ms, 1);
        assert_eq!(settings.database.statement_timeout_ms, 15_000);
        assert!((settings.process.tracing.sample_ratio - 1.0).abs() < f64::EPSILON);
        assert_eq!(settings.process.log.format, crate::LogFormat::Pretty);
    }

    #[test]
    fn a_list_in_the_environment_is_separated_by_commas() {
        let variables = [("LEASELINE_ALLOWED_ORIGINS", "https://a.example, https://b.example,")];
        let settings = load_with(None, &variables).unwrap();
        assert_eq!(settings.allowed_origins, ["https://a.example", "https://b.example"]);
    }

    #[test]
    fn foreign_variables_do_no_harm() {
        load_with(None, &[("LEASELINE_GATEWAY_URL", "http://x")]).unwrap();
    }

    #[test]
    fn a_secret_is_read_from_the_file_that_its_variable_names() {
        let file = Scratch::new("postgres://numbers:pw@db/numbers\n");
        let path = file.0.to_str().unwrap();
        let settings = load_with(None, &[("LEASELINE_DATABASE_URL_FILE", path)]).unwrap();
        assert_eq!(settings.database.url.expose(), "postgres://numbers:pw@db/numbers");
        assert!(!format!("{settings:?}").contains("pw"));
    }

    #[test]
    fn a_setting_given_directly_and_by_file_is_refused() {
        let variables = [("LEASELINE_DATABASE_URL", "a"), ("LEASELINE_DATABASE_URL_FILE", "/b")];
        let error = load_with(None, &variables).unwrap_err();
        assert_eq!(
            error.to_string(),
            "LEASELINE_DATABASE_URL and LEASELINE_DATABASE_URL_FILE are both set; unset one of them"
        );
    }

    #[test]
    fn an_unknown_key_in_the_file_is_named_together_with_the_file() {
        let file = Scratch::new("[database]\nmax_conections = 20\n");
        let sentence = load_with(Some(&file.0), &[]).unwrap_err().to_string();
        assert!(sentence.contains("database.max_conections"), "{sentence}");
        assert!(sentence.contains(file.0.to_str().unwrap()), "{sentence}");
    }

    #[test]
    fn a_value_of_the_wrong_type_names_the_variable_and_not_the_value() {
        let variables = [("LEASELINE_DATABASE_MAX_CONNECTIONS", "s3cret")];
        let sentence = load_with(None, &variables).unwrap_err().to_string();
        assert_eq!(sentence, "LEASELINE_DATABASE_MAX_CONNECTIONS must be a whole number");
    }

    #[test]
    fn names_lists_every_setting_with_its_variable_and_default() {
        let names = names(DEFAULTS).unwrap();
        assert_eq!(names.len(), 11);
        assert!(names.contains(&(
            "shutdown.deadline_s".to_owned(),
            "LEASELINE_SHUTDOWN_DEADLINE_S".to_owned(),
            "20".to_owned()
        )));
    }

    #[test]
    fn two_settings_may_not_share_a_variable() {
        for defaults in ["a_b = 1\n[a]\nb = 1\n", "key = \"\"\nkey_file = \"\"\n"] {
            let error = names(defaults).unwrap_err();
            assert!(matches!(error, ConfigError::Ambiguous { .. }), "{error}");
        }
    }
}
