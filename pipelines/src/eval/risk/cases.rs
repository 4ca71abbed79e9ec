//! The cases of an evaluation: files with their truth, the simulated town, or a folder.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use thalweg_connectors::contacts::truth;
use thalweg_connectors::sim::town;

use crate::failure::Failure;
use crate::keys::Listed;
use crate::risk;
use crate::settings::Settings;

/// A case to run: its name, settings of its own, and the infected.
pub(super) struct Task {
    pub name: String,
    pub settings: Settings,
    pub infected: HashMap<String, bool>,
}

/// Every case that the settings name.
pub(super) fn tasks(settings: &Settings, keys: Listed) -> Result<Vec<Task>, Failure> {
    let read = |path: &Path| -> Result<HashMap<String, bool>, Failure> { Ok(truth(path)?.into_iter().collect()) };
    if let [input] = settings.input.as_slice()
        && input != "sim:town"
        && settings.contacts.is_empty()
        && settings.tests.is_empty()
    {
        return Folder::open(Path::new(input), settings)?.tasks(read);
    }
    if risk::is_town(settings)? {
        let town = risk::ask(settings, keys)?.town.unwrap_or(town::Town { people: 2, days: 1, seed: 0 });
        let settings = Settings { as_of: settings.as_of.or(Some(town.as_of() * 1_000_000_000)), ..settings.clone() };
        let infected = town::truth(town).into_iter().collect();
        return Ok(vec![Task { name: "sim:town".into(), settings, infected }]);
    }
    let Some(path) = &settings.truth else {
        let expected = "--truth FILE beside --contacts and --tests, or --input with a folder of cases";
        return Err(Failure::Usage(format!("--truth: found none, expected {expected}")));
    };
    Ok(vec![Task { name: path.display().to_string(), settings: settings.clone(), infected: read(path)? }])
}

/// A folder of cases: `contacts.*`, `params.json` where there, and `tests/NAME` with `truth/NAME`, or `tests.*` with `truth.*`.
struct Folder {
    path: PathBuf,
    settings: Settings,
}

impl Folder {
    fn open(path: &Path, settings: &Settings) -> Result<Folder, Failure> {
        let mut settings = Settings { input: Vec::new(), ..settings.clone() };
        let parameters = path.join("params.json");
        if parameters.exists() {
            let bad = |e: String| Failure::run(format!("{}: {e}", parameters.display()));
            let text = std::fs::read_to_string(&parameters).map_err(|e| bad(e.to_string()))?;
            let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
            for (key, value) in ["set", "set_extended"].iter().filter_map(|key| json[key].as_object()).flatten() {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
                settings.set.entry(key.clone()).or_insert(value);
            }
            if let (None, Some(as_of)) = (settings.as_of, json.get("as_of")) {
                let text = as_of.as_str().map_or_else(|| as_of.to_string(), str::to_string);
                let time = thalweg_connectors::contacts::time_ns(&text);
                settings.as_of =
                    Some(time.ok_or_else(|| bad(format!("as_of: found {text}, expected seconds, a time or a date")))?);
            }
        }
        let folder = Folder { path: path.into(), settings };
        let contacts = folder.files(&folder.path, "contacts.")?;
        if contacts.is_empty() {
            return Err(Failure::run(format!("{}: found no contacts.csv, expected a folder of cases", path.display())));
        }
        Ok(Folder { settings: Settings { contacts, ..folder.settings }, ..folder })
    }

    /// A folder's files whose names begin so, in name order.
    fn files(&self, folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, Failure> {
        let bad = |e: std::io::Error| Failure::run(format!("{}: {e}", folder.display()));
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(bad)? {
            let path = entry.map_err(bad)?.path();
            let named = path.file_name().is_some_and(|name| {
                let name = name.to_string_lossy();
                name.starts_with(prefix) && !name.starts_with('.')
            });
            if named && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn tasks(&self, read: impl Fn(&Path) -> Result<HashMap<String, bool>, Failure>) -> Result<Vec<Task>, Failure> {
        let stem = |path: &Path| -> String {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.split('.').next().unwrap_or_default().to_string()
        };
        let task = |name: String, tests: Vec<PathBuf>, truth: &Path| -> Result<Task, Failure> {
            Ok(Task { name, settings: Settings { tests, ..self.settings.clone() }, infected: read(truth)? })
        };
        let inside = self.path.join("tests");
        if !inside.is_dir() {
            let truths = self.files(&self.path, "truth.")?;
            let truth = self.settings.truth.as_ref().or(truths.first());
            let truth = truth.ok_or_else(|| {
                Failure::run(format!("{}: found no truth.csv, expected one, or truth/", self.path.display()))
            })?;
            return Ok(vec![task(self.path.display().to_string(), self.files(&self.path, "tests.")?, truth)?]);
        }
        let truths: BTreeMap<_, _> =
            self.files(&self.path.join("truth"), "")?.into_iter().map(|path| (stem(&path), path)).collect();
        let mut tasks = Vec::new();
        for tests in self.files(&inside, "")? {
            let name = stem(&tests);
            let truth = truths.get(&name).ok_or_else(|| {
                Failure::run(format!("{}: found no truth of that name, expected truth/{name}.csv", tests.display()))
            })?;
            tasks.push(task(name, vec![tests.clone()], truth)?);
        }
        Ok(tasks)
    }
}
