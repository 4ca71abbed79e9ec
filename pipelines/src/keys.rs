//! The keys of `--set`: each is described once, and help, defaults and messages are made of that.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::failure::Failure;

/// A key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its default as one would write it, or in words where it is no value.
    pub default: &'static str,
    /// The values it takes.
    pub expected: &'static str,
    /// What it says.
    pub what: &'static str,
}

/// Keys as a pipeline lists them.
pub type Listed = &'static [&'static Key];

/// The keys that were set, taken one by one, so that the rest are known to be unknown.
pub struct Keys<'a> {
    left: BTreeMap<&'a str, &'a str>,
    listed: Listed,
    problems: Vec<String>,
}

impl<'a> Keys<'a> {
    /// All of `set`, which may hold those that are `listed`.
    pub fn of(set: &'a BTreeMap<String, String>, listed: Listed) -> Keys<'a> {
        let left = set.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Keys { left, listed, problems: Vec::new() }
    }

    /// Takes `key`, or its default where it is not set; a value that does not parse or fit is a problem.
    /// A default in words is `T`'s own default.
    pub fn take<T: FromStr + Default>(&mut self, key: &Key, fits: impl Fn(&T) -> bool) -> T {
        self.take_or(key, key.default.parse().unwrap_or_default(), fits)
    }

    /// Takes `key`, or `default` where it is not set.
    pub fn take_or<T: FromStr>(&mut self, key: &Key, default: T, fits: impl Fn(&T) -> bool) -> T {
        debug_assert!(self.listed.iter().any(|listed| listed.name == key.name), "{} is not listed", key.name);
        let Some(text) = self.left.remove(key.name) else { return default };
        match text.parse().ok().filter(fits) {
            Some(value) => value,
            None => {
                self.problems.push(format!("--set {}: found {text}, expected {}", key.name, key.expected));
                default
            }
        }
    }

    /// Takes `key`, seconds, as nanoseconds; none where it is not set. `zero` says whether 0 will do.
    pub fn nanoseconds(&mut self, key: &Key, zero: bool) -> Option<i64> {
        let fits = |s: f64| (0.0..=9e9).contains(&s) && (zero || s > 0.0);
        let seconds: Maybe<f64> = self.take(key, |s: &Maybe<f64>| s.0.is_some_and(fits));
        seconds.0.map(|seconds| (seconds * 1e9).round() as i64)
    }

    /// True if `key` was set and not taken yet.
    pub fn has(&self, key: &Key) -> bool {
        self.left.contains_key(key.name)
    }

    /// Takes `keys` that do not fit what else is set: each one that is there is a problem.
    pub fn refuse(&mut self, keys: &[&Key], expected: &str) {
        for key in keys {
            if let Some(text) = self.left.remove(key.name) {
                self.problems.push(format!("--set {}: found {text}, expected {expected}", key.name));
            }
        }
    }

    /// Notes a problem that is no key's alone.
    pub fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// All problems, keys nobody took among them.
    ///
    /// # Errors
    /// Those problems (exit 78).
    pub fn done(mut self) -> Result<(), Failure> {
        let names: Vec<_> = self.listed.iter().map(|key| key.name).collect();
        let known = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        let unknown = |key: &&str| format!("--set {key}: found an unknown key, expected {known}");
        self.problems.extend(self.left.keys().map(unknown));
        if self.problems.is_empty() { Ok(()) } else { Err(Failure::Config(self.problems)) }
    }
}

/// A number that a key may have, or none: the default in words.
#[derive(Clone, Copy, Debug)]
pub struct Maybe<T>(pub Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Maybe(None)
    }
}

impl<T: FromStr> FromStr for Maybe<T> {
    type Err = T::Err;
    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(|value| Maybe(Some(value)))
    }
}
