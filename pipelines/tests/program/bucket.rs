//! Checkpoints and output in a bucket: a local S3 server from a package (`moto_server`, found on the path or named by `MOTO_SERVER`).

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thalweg_connectors::out::die::POINTS;

use super::durable::{inputs, words};

/// A server with an empty bucket `kept`.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// `None` where the package is not there, which is said.
    fn begin() -> Option<Server> {
        let program = std::env::var("MOTO_SERVER").unwrap_or_else(|_| "moto_server".into());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            eprintln!("skipped: found no {program} (pip install 'moto[server]')");
            return None;
        };
        let server = Server { child, url: format!("http://127.0.0.1:{port}") };
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let until = Instant::now() + Duration::from_secs(60);
        while agent.put(format!("{}/kept", server.url)).send_empty().is_err() {
            assert!(Instant::now() < until, "{program} does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    /// The program, told of the server by its environment alone.
    fn thalweg(&self, arguments: &[&str], folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.current_dir(folder).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let set = [
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ALLOW_HTTP", "true"),
            ("NO_PROXY", "127.0.0.1"),
        ];
        command.envs(set);
        command
    }

    /// Exit code and what was said.
    fn run(&self, arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
        let ran = self.thalweg(arguments, folder).output().unwrap();
        (ran.status.code(), [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_run_into_a_bucket_that_dies_at_any_step_of_a_commit_loses_nothing() {
    let Some(server) = Server::begin() else { return };
    let (folder, runs) = inputs();
    let folder = folder.path();
    for (name, run) in runs.iter().filter(|(name, _)| ["knn", "risk"].contains(name)) {
        let given: Vec<&str> = ["run"].into_iter().chain(run.iter().map(String::as_str)).collect();
        let whole = format!("{name}.whole/");
        assert_eq!(server.run(&[&given[..], &["--output", &whole]].concat(), folder).0, Some(0));
        let read = |output: &str, to: &str| {
            let (code, said) = server.run(&["read", output, "--output", to], folder);
            assert_eq!(code, Some(0), "{said}");
            fs::read(folder.join(to)).unwrap()
        };
        let whole = read(&whole, "whole.parquet");
        for (number, point) in POINTS.iter().enumerate() {
            let (output, checkpoint) =
                (format!("s3://kept/{name}/{number}/out/"), format!("s3://kept/{name}/{number}/ck"));
            let kept = ["--output", &output, "--checkpoint", &checkpoint, "--set", "checkpoint_seconds=0.000001"];
            let mut died = 0;
            for attempt in 0..10 {
                let mut command = server.thalweg(&[&given[..], &kept].concat(), folder);
                if attempt < 2 {
                    let at = if attempt == 0 { POINTS[number % 7] } else { point };
                    command.env("FAILPOINTS", format!("{at}={}*off->return", number % 2));
                }
                let ran = command.output().unwrap();
                if ran.status.success() {
                    break;
                }
                assert!(ran.status.code().is_none(), "{name} at {point}: {}", String::from_utf8_lossy(&ran.stderr));
                died += 1;
            }
            assert!(died > 0, "{name}: never died at {point}");
            assert!(read(&output, "read.parquet") == whole, "{name}: rows differ after {died} deaths at {point}");
            assert_eq!(server.run(&["checkpoints", &checkpoint], folder).0, Some(0));
        }
    }
}

#[test]
fn the_run_that_came_last_takes_a_bucket_over() {
    let Some(server) = Server::begin() else { return };
    let (folder, _) = inputs();
    let folder = folder.path();
    let run = words(
        "run risk --contacts contacts.csv --follow --every 3000 --model tracing --set rate=1e-4 --set emit=changes \
         --output s3://kept/town/ --checkpoint s3://kept/town.ck --set checkpoint_seconds=0.2",
    );
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    let mut first = server.thalweg(&run, folder).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while server.run(&["checkpoints", "s3://kept/town.ck"], folder).1.is_empty() {
        assert!(Instant::now() < until, "no checkpoint");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut second = server.thalweg(&run, folder).spawn().unwrap();
    // The first has something to commit, and finds that it may not.
    let more: String = (3000..3500).map(|t| format!("{},p{},p{},60\n", 40 * t, t % 31, t % 37 + 31)).collect();
    while first.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "two runs write at a time");
        let mut file = fs::OpenOptions::new().append(true).open(folder.join("contacts.csv")).unwrap();
        std::io::Write::write_all(&mut file, more.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    let ended = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("found another run that has taken the place over"), "{said}");
    assert!(second.try_wait().unwrap().is_none(), "the one that came last goes on");
    assert!(Command::new("kill").args(["-TERM", &second.id().to_string()]).status().unwrap().success());
    let ended = second.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(server.run(&["read", "s3://kept/town/", "--output", "town.parquet"], folder).0, Some(0));
}

#[test]
fn what_a_bucket_does_not_take_is_said() {
    let Some(server) = Server::begin() else { return };
    let (folder, _) = inputs();
    let folder = folder.path();
    let risk = words("run risk --contacts contacts.csv --model tracing --set rate=1e-4 --output");
    let risk: Vec<&str> = risk.iter().map(String::as_str).collect();
    let said = |output: &str| server.run(&[&risk[..], &[output]].concat(), folder);
    let (code, text) = said("s3://kept/risk.parquet");
    assert!(code == Some(78) && text.contains("expected a name ending in /"), "{text}");
    let (code, text) = said("s3://absent/risk/");
    assert!(code == Some(1) && text.contains("s3://absent/risk/"), "{text}");
    assert_eq!(server.run(&["read", "s3://kept/nothing/", "--output", "a.csv"], folder).0, Some(1));
    // Rows without checkpoints, and malformed ones beside them.
    fs::write(folder.join("contacts.csv"), "t,i,j\n0,a,b\nnothing\n").unwrap();
    let (code, text) = said("s3://kept/risk/");
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(server.run(&["read", "s3://kept/risk/", "--output", "risk.csv"], folder).0, Some(0));
    assert!(fs::read_to_string(folder.join("risk.csv")).unwrap().lines().count() == 3);
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let names = agent.get(format!("{}/kept?list-type=2", server.url)).call().unwrap();
    assert!(names.into_body().read_to_string().unwrap().contains("<Key>risk.rejected.csv</Key>"));
    assert!(!folder.join("s3:").exists(), "nothing of a bucket stands in a folder");
}
