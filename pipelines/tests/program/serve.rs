//! The service: several pipelines at a time, its answers over HTTP, restarts, signals, and what a run says off a terminal.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::processes::{children, signal};
use super::{code, thalweg};

const PATIENCE: Duration = Duration::from_secs(90);

/// Contacts from one time to another (in steps of 40 s).
fn contacts(steps: std::ops::Range<u32>) -> String {
    steps.map(|t| format!("{},p{},p{},60\n", 40 * t, (7 * t) % 31, (11 * t + 3) % 37 + 31)).collect()
}

/// Waits until something is so.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: waited for {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that goes on, its log beside its inputs.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn begin(folder: &Path, arguments: &[&str], log: &str) -> Running {
        let log = folder.join(log);
        let child = Command::new(env!("CARGO_BIN_EXE_thalweg"))
            .args(arguments)
            .current_dir(folder)
            .env("TOKEN_OF_TEST", "abc123")
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Running { child, log }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    fn says(&self, what: &str) {
        until(what, || self.said().contains(what).then_some(()));
    }

    /// Where a service listens.
    fn url(&mut self) -> String {
        until("serving", || {
            assert!(self.child.try_wait().unwrap().is_none(), "the service has ended: {}", self.said());
            let said = self.said();
            let address = said.split("address=").nth(1)?.split_whitespace().next()?;
            Some(format!("http://{address}"))
        })
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn code(&mut self) -> Option<i32> {
        until("the end", || self.child.try_wait().unwrap()).code()
    }

    /// SIGTERM, and the exit code.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        (self.code(), self.said())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status code and body of a request.
fn ask(method: &str, url: &str, token: Option<&str>) -> (u16, String) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut answer = agent.run(request.body(()).unwrap()).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn get(url: &str) -> (u16, String) {
    ask("GET", url, None)
}

/// The figures of one pipeline.
fn figures(url: &str, name: &str) -> Value {
    let overview: Value = serde_json::from_str(&get(&format!("{url}/status")).1).unwrap();
    overview["pipelines"].as_array().unwrap().iter().find(|figures| figures["name"] == name).unwrap().clone()
}

fn becomes(url: &str, name: &str, status: &str) -> Value {
    until(status, || Some(figures(url, name)).filter(|figures| figures["status"] == status))
}

/// The samples of a text in Prometheus' format: every line is one, or a comment about the next ones.
fn samples(text: &str) -> Vec<(String, f64)> {
    let mut kinds = Vec::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            kinds.push(kind.split(' ').next().unwrap().to_string());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(kinds.iter().any(|kind| name.split('{').next() == Some(kind)), "{line}");
            samples.push((name.to_string(), value.parse().unwrap()));
        }
    }
    samples
}

const STREET: &str = "
[[pipeline]]
name = \"street\"
pipeline = \"segment\"
input = \"sim:street\"
output = \"street.parquet\"
set = {frames = 2}
";

const TOWN: &str = "
[[pipeline]]
name = \"town\"
pipeline = \"risk\"
contacts = \"contacts.csv\"
follow = true
every = 3000
model = \"tracing\"
output = \"risk/\"
checkpoint = \"risk.ck\"
set = {rate = 1e-4, emit = \"changes\", checkpoint_seconds = 0.2, segment_seconds = 1}
";

const SERVE: &str = "[serve]\nlisten = \"127.0.0.1:0\"\n";

#[cfg(unix)]
#[test]
fn a_pipeline_in_processes_of_its_own_goes_on_when_one_is_killed_and_tells_its_figures() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("contacts.csv"), format!("t,i,j,duration\n{}", contacts(0..500))).unwrap();
    let config = format!("{SERVE}{STREET}processes = 1\n{TOWN}processes = 2\n");
    let config = config.replace("set = {frames = 2}\nprocesses = 1\n", "processes = 1\nset = {frames = 2}\n");
    fs::write(at.join("serve.toml"), config).unwrap();
    let mut service = Running::begin(at, &["serve", "serve.toml"], "log");
    let url = service.url();
    let all = || Some(figures(&url, "town")).filter(|town| town["read"] == 500 && town["checkpoint"]["bytes"].is_u64());
    let town = until("all rows", all);
    assert_eq!((&town["status"], town["restarts"].as_u64()), (&Value::from("running"), Some(0)));
    assert!(town["leader_bytes"].as_u64() > Some(1_000_000), "{town}");
    assert_eq!(becomes(&url, "street", "done")["read"], 2);

    let own = children(&service.child);
    assert_eq!(own.len(), 2, "street has ended: {}", service.said());
    signal(own[1], "KILL");
    until("another start", || (figures(&url, "town")["restarts"] == 1).then_some(()));
    let mut rows = fs::OpenOptions::new().append(true).open(at.join("contacts.csv")).unwrap();
    rows.write_all(contacts(500..1000).as_bytes()).unwrap();
    let goes_on = || Some(figures(&url, "town")).filter(|town| town["read"] == 1000 && town["status"] == "running");
    until("the rest", goes_on);
    assert!(get(&format!("{url}/metrics")).1.contains("thalweg_leader_resident_bytes{pipeline=\"town\"}"));
    let (code, said) = service.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("all go on from the last checkpoint") && said.contains("pipeline{name=town}"), "{said}");
    assert!(!said.contains("thalweg: "), "a line that is no log line: {said}");
    assert!(thalweg(&["read", "risk/", "--output", "read.parquet"], at).status.success());
}

#[cfg(unix)]
#[test]
fn two_pipelines_are_served_and_end_well_at_a_signal() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("contacts.csv"), format!("t,i,j,duration\n{}", contacts(0..500))).unwrap();
    fs::write(at.join("serve.toml"), format!("{SERVE}{STREET}{TOWN}")).unwrap();
    code(&["validate", "serve.toml"], at, 0);
    let mut service = Running::begin(at, &["serve", "serve.toml"], "log");
    let url = service.url();
    until("ready", || (get(&format!("{url}/readyz")).0 == 200).then_some(()));
    assert_eq!(get(&format!("{url}/healthz")), (200, "{\"status\":\"ok\"}\n".into()));

    // Rows come, and are answered for.
    let mut rows = fs::OpenOptions::new().append(true).open(at.join("contacts.csv")).unwrap();
    rows.write_all(format!("not a row\n{}", contacts(500..1000)).as_bytes()).unwrap();
    let done = becomes(&url, "street", "done");
    assert_eq!(
        (done["read"].as_u64(), done["epochs"].as_u64(), done["in_flight"].as_u64()),
        (Some(2), Some(2), Some(0))
    );
    let town = until("all rows", || Some(figures(&url, "town")).filter(|town| town["read"] == 1000));
    assert_eq!((&town["status"], &town["dropped"]["malformed"]), (&Value::from("running"), &Value::from(1)));
    until("a checkpoint", || figures(&url, "town")["checkpoint"]["bytes"].as_u64());
    service.says("caught up");

    let (status, text) = get(&format!("{url}/metrics"));
    let samples = samples(&text);
    let value = |name: &str| samples.iter().find(|(own, _)| own == name).unwrap_or_else(|| panic!("{name}: {text}")).1;
    assert_eq!(status, 200);
    assert_eq!(value("thalweg_records_read_total{pipeline=\"town\"}"), 1000.0);
    assert_eq!(value("thalweg_dropped_total{pipeline=\"town\",reason=\"malformed\"}"), 1.0);
    assert_eq!(value("thalweg_epochs_closed_total{pipeline=\"street\"}"), 2.0);
    assert_eq!(value("thalweg_rows_written_total{pipeline=\"street\"}"), done["rows"].as_f64().unwrap());
    assert_eq!(value("thalweg_pipeline_status{pipeline=\"street\",status=\"done\"}"), 1.0);
    assert_eq!(value("thalweg_restarts_total{pipeline=\"town\"}"), 0.0);
    assert_eq!(value("thalweg_queue_depth{pipeline=\"street\"}"), 0.0);
    assert_eq!(value("thalweg_frontier_lag_seconds{pipeline=\"street\"}"), 0.0);
    let total = |quantile| {
        value(&format!("thalweg_stage_seconds{{pipeline=\"street\",quantile=\"{quantile}\",stage=\"total\"}}"))
    };
    assert!(total("0.5") > 0.0 && total("0.5") <= total("0.99"));
    assert!(value("thalweg_checkpoint_bytes{pipeline=\"town\"}") > 100.0);
    assert!(value("thalweg_checkpoint_age_seconds{pipeline=\"town\"}") >= 0.0);
    assert!(value("thalweg_rows_written_total{pipeline=\"town\"}") > 0.0);

    // What is not to be had.
    assert_eq!(get(&format!("{url}/frob")).0, 404);
    assert_eq!(ask("DELETE", &format!("{url}/metrics"), None).0, 405);
    assert_eq!(ask("HEAD", &format!("{url}/healthz"), None).0, 405);
    let long = ureq::get(&format!("{url}/healthz")).header("x-long", "x".repeat(100_000)).call();
    assert!(long.is_err(), "a head of 100 kB is taken");

    let top = thalweg(&["top", &url, "--once"], at);
    let table = String::from_utf8(top.stdout).unwrap();
    assert!(top.status.success() && table.contains("street  segment   done"), "{table}");

    let (code_, said) = service.stop();
    assert_eq!(code_, Some(0), "{said}");
    for line in ["serving", "started", "published", "dropped", "ended", "stopped"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(at.join("street.parquet").exists());
    code(&["checkpoints", "risk.ck"], at, 0);
    assert!(code(&["top", &url, "--once"], at, 1).contains(&url));

    // Into its own output it goes on with its checkpoints alone.
    let run =
        "run risk --contacts contacts.csv --follow --every 3000 --model tracing --set rate=1e-4 --set emit=changes";
    let run: Vec<&str> = run.split(' ').chain(["--output", "risk/"]).collect();
    assert!(code(&run, at, 1).contains("--checkpoint"));
    let mut service = Running::begin(at, &["serve", "serve.toml"], "log2");
    let url = service.url();
    becomes(&url, "town", "running");
    service.says("resumed");
    let (code_, said) = service.stop();
    assert_eq!(code_, Some(0), "{said}");
    code(&["read", "risk/", "--output", "risk.csv"], at, 0);
}

#[cfg(unix)]
#[test]
fn a_service_that_is_killed_goes_on() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let pipeline = "\n[[pipeline]]\nname = \"street\"\npipeline = \"knn\"\ninput = \"sim:street\"\noutput = \"out/\"\ncheckpoint = \"ck\"\n";
    let set = "set = {frames = 12, k = 3, checkpoint_seconds = 1e-6}\n";
    fs::write(at.join("serve.toml"), format!("{SERVE}{pipeline}rate = 0.5\n{set}")).unwrap();
    let mut service = Running::begin(at, &["serve", "serve.toml"], "log");
    let url = service.url();
    until("a checkpoint", || figures(&url, "street")["checkpoint"]["bytes"].as_u64());
    service.signal("-KILL");
    assert_eq!(service.code(), None);
    let mut service = Running::begin(at, &["serve", "serve.toml"], "log2");
    let url = service.url();
    becomes(&url, "street", "done");
    let (code_, said) = service.stop();
    assert_eq!(code_, Some(0), "{said}");
    assert!(said.contains("resumed"), "{said}");
    let run = "run knn --input sim:street --set frames=12 --set k=3 --output plain/";
    code(&run.split(' ').collect::<Vec<_>>(), at, 0);
    for name in ["out", "plain"] {
        code(&["read", &format!("{name}/"), "--output", &format!("{name}.parquet")], at, 0);
    }
    assert!(fs::read(at.join("out.parquet")).unwrap() == fs::read(at.join("plain.parquet")).unwrap());
}

#[cfg(unix)]
#[test]
fn a_pipeline_that_fails_is_started_again_if_it_can_go_on() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let pipeline = |name: &str, more: &str| {
        format!(
            "\n[[pipeline]]\nname = \"{name}\"\npipeline = \"knn\"\ninput = \"{name}.bin\"\noutput = \"{name}/\"\n{more}"
        )
    };
    let both = pipeline("first", "") + &pipeline("second", "checkpoint = \"ck\"\n");
    fs::write(at.join("serve.toml"), format!("{SERVE}secret_env = \"TOKEN_OF_TEST\"\n{both}")).unwrap();
    let mut service = Running::begin(at, &["serve", "serve.toml"], "log");
    let url = service.url();
    let ask = |path: &str| ask("GET", &format!("{url}/{path}"), Some("abc123"));
    for wrong in [None, Some(""), Some("abc124"), Some("abc1234")] {
        assert_eq!(self::ask("GET", &format!("{url}/healthz"), wrong).0, 401, "{wrong:?}");
    }
    let status = |name: &str| {
        let overview: Value = serde_json::from_str(&ask("status").1).unwrap();
        overview["pipelines"].as_array().unwrap().iter().find(|figures| figures["name"] == name).unwrap().clone()
    };
    until("a restart", || (status("second")["restarts"].as_u64() >= Some(1)).then_some(()));
    assert_eq!(status("first")["status"], "failed");
    let (code_, body) = ask("healthz");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code_, &body["pipelines"][0]["name"]), (503, &Value::from("first")));
    assert!(body["pipelines"][0]["error"].as_str().unwrap().contains("first.bin") && body["pipelines"][1].is_null());
    assert_eq!(ask("readyz").0, 503);

    // What it waits for comes.
    super::write_bin(&at.join("second.bin"), &[[0.0; 4], [1.0; 4], [2.0; 4]]);
    until("an end", || (status("second")["status"] == "done").then_some(()));
    let top = Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(["top", &url, "--once", "--secret-env", "TOKEN_OF_TEST"])
        .env("TOKEN_OF_TEST", "abc123")
        .output()
        .unwrap();
    assert!(top.status.success() && String::from_utf8(top.stdout).unwrap().contains("first.bin"));
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn every_problem_of_a_service_is_named() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let bad = "port = 1\n[serve]\nlisten = \"0.0.0.0:1\"\nsecret = \"hunter2\"\ndrain_seconds = -1\nfrob = 1\n
[[pipeline]]\nname = \"a b\"\npipeline = \"knn\"\ninput = \"x\"\nworkers = 0\nset = {k = 99}\n
[[pipeline]]\nname = \"twice\"\npipeline = \"frob\"\n
[[pipeline]]\nname = \"one\"\npipeline = \"knn\"\ninput = \"x\"\noutput = \"same/\"\njson = true\nevery = 5\n
[[pipeline]]\nname = \"one\"\npipeline = \"knn\"\ninput = \"y\"\noutput = \"./same\"\n";
    fs::write(at.join("bad.toml"), bad).unwrap();
    for command in ["validate", "serve"] {
        let said = code(&[command, "bad.toml"], at, 78);
        for problem in [
            "unknown key port",
            "serve: secret:",
            "serve: drain_seconds: found -1",
            "unknown key frob",
            "0.0.0.0:1, which is not loopback",
            "pipeline 1: name: found a b",
            "pipeline 1: workers: found 0",
            "pipeline 1: --set k: found 99",
            "pipeline 1: output: found none",
            "pipeline 2 (twice): pipeline: found frob",
            "pipeline 3 (one): json: found true",
            "pipeline 3 (one): every: found 5",
            "found name one in both",
            "found output ./same in both",
        ] {
            assert!(said.contains(problem), "{command}: {problem}: {said}");
        }
        assert!(!said.contains("hunter2"), "a secret is shown: {said}");
    }
    fs::write(at.join("none.toml"), "[serve]\n").unwrap();
    assert!(code(&["validate", "none.toml"], at, 78).contains("[[pipeline]]"));
    fs::write(at.join("unset.toml"), format!("{SERVE}secret_env = \"NOT_SET_ANYWHERE\"\n{STREET}")).unwrap();
    code(&["validate", "unset.toml"], at, 0);
    assert!(code(&["serve", "unset.toml"], at, 78).contains("NOT_SET_ANYWHERE"));
    code(&["serve", "absent.toml"], at, 1);
    code(&["serve"], at, 2);
}

#[cfg(unix)]
#[test]
fn a_followed_run_says_off_a_terminal_what_it_does() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::write(at.join("contacts.csv"), format!("t,i,j,duration\nnot a row\n{}", contacts(0..300))).unwrap();
    let line = "run risk --contacts contacts.csv --every 3000 --model tracing --set rate=1e-4 --set emit=changes";
    let followed = format!("{line} --follow --output risk/ --checkpoint ck --set checkpoint_seconds=0.1");
    let run = Running::begin(at, &followed.split(' ').collect::<Vec<_>>(), "log");
    run.says("caught up");
    let (code_, said) = run.stop();
    assert_eq!(code_, Some(0), "{said}");
    let order: Vec<_> =
        [" started ", " dropped ", " caught up ", " ended "].iter().map(|what| said.find(what)).collect();
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}: {said}");
    assert!(said.contains("thalweg: dropped 1 malformed"), "{said}");

    // One that ends by itself is quiet, unless it is asked.
    let plain = format!("{line} --output risk.csv");
    let run = |name: &str, value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.args(plain.split(' ')).current_dir(at).env(name, value);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run("THALWEG_LOG", "").1.lines().count(), 1);
    assert!(run("THALWEG_LOG", "info").1.contains(" started "));
    assert_eq!(run("THALWEG_LOG", "thalweg=frob").0, Some(78));
    assert_eq!(run("THALWEG_LOG_FORMAT", "xml").0, Some(78));
}
