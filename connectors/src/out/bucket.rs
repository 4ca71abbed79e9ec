//! A prefix of an S3 bucket, for threads that wait: each call hands a future of `object_store` to one thread of a runtime, and waits for its end.
//!
//! Keys, region and endpoint come from the environment, by the names that AWS's own tools know (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
//! `AWS_REGION`, `AWS_ENDPOINT_URL`; `AWS_ALLOW_HTTP=true` for an endpoint without TLS).

use std::collections::HashMap;
use std::io::{Error as IoError, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::store::Entry;
use crate::error::Error;

/// What a URI of a bucket begins with.
pub(super) const SCHEME: &str = "s3://";
/// Parts of a file that is sent in parts.
const PART: usize = 16 << 20;
/// Parts on their way at a time.
const PARTS: usize = 4;

/// A prefix of a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    prefix: Key,
    /// Where files are written before they go, and read when they have come.
    scratch: TempDir,
}

impl Bucket {
    /// That of a URI; in one process the same as long as somebody has it.
    pub(super) fn open(uri: &Path) -> Result<Arc<Bucket>, Error> {
        static OPEN: OnceLock<Mutex<HashMap<String, Weak<Bucket>>>> = OnceLock::new();
        let wrong =
            |found: String| Error::unsupported(uri, found, "s3://BUCKET/PREFIX, and what the environment says of it");
        let text = uri.to_str().ok_or_else(|| wrong("a name that is no text".into()))?;
        let text = text.trim_end_matches('/');
        let mut open = OPEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = open.get(text).and_then(Weak::upgrade) {
            return Ok(bucket);
        }
        let rest = text.strip_prefix(SCHEME).unwrap_or(text);
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(wrong("no bucket".into()));
        }
        let prefix = Key::parse(prefix).map_err(|error| wrong(error.to_string()))?;
        let store = AmazonS3Builder::from_env().with_bucket_name(name).build();
        let store = Arc::new(store.map_err(|error| wrong(error.to_string()))?);
        let scratch = tempfile::tempdir().map_err(|e| Error::io(uri, e))?;
        let bucket = Arc::new(Bucket { store, prefix, scratch });
        open.insert(text.to_string(), Arc::downgrade(&bucket));
        Ok(bucket)
    }

    pub(super) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    fn key(&self, name: &str) -> Key {
        self.prefix.clone().join(name)
    }

    fn local(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The objects right under the prefix.
    pub(super) fn list(&self) -> Result<Vec<Entry>, IoError> {
        let (store, prefix) = (Arc::clone(&self.store), self.prefix.clone());
        let found = wait(async move { store.list_with_delimiter(Some(&prefix)).await })?;
        let entries = found.objects.into_iter().filter_map(|object| {
            let name = object.location.filename()?.to_string();
            Some(Entry { name, bytes: object.size, modified: Some(object.last_modified.into()) })
        });
        Ok(entries.collect())
    }

    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, IoError> {
        let (store, key) = (Arc::clone(&self.store), self.key(name));
        wait(async move { store.get(&key).await?.bytes().await }).map(|bytes| bytes.to_vec())
    }

    pub(super) fn length(&self, name: &str) -> Result<u64, IoError> {
        let (store, key) = (Arc::clone(&self.store), self.key(name));
        wait(async move { store.head(&key).await }).map(|object| object.size)
    }

    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), IoError> {
        let (store, key) = (Arc::clone(&self.store), self.key(name));
        wait(async move { store.put(&key, bytes.into()).await }).map(drop)
    }

    /// Puts an object whose name is free. A request that was sent again because its answer was lost finds its own object there.
    pub(super) fn claim(&self, name: &str, bytes: Vec<u8>) -> Result<(), IoError> {
        let (store, key, content) = (Arc::clone(&self.store), self.key(name), bytes.clone());
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match wait(async move { store.put_opts(&key, content.into(), options).await }) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && self.read(name)? == bytes => Ok(()),
            other => other.map(drop),
        }
    }

    pub(super) fn copy(&self, from: &str, to: &str) -> Result<(), IoError> {
        let (store, from, to) = (Arc::clone(&self.store), self.key(from), self.key(to));
        wait(async move { store.copy(&from, &to).await })
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), IoError> {
        let (store, key) = (Arc::clone(&self.store), self.key(name));
        wait(async move { store.delete(&key).await })
    }

    /// Sends the scratch folder's file of that name, in parts if it is long, and removes it there.
    pub(super) fn put_file(&self, name: &str) -> Result<(), IoError> {
        let (path, store, key) = (self.local(name), Arc::clone(&self.store), self.key(name));
        let mut file = std::fs::File::open(&path)?;
        if file.metadata()?.len() <= PART as u64 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            self.put(name, bytes)?;
        } else {
            let begun = wait(async move { store.put_multipart(&key).await })?;
            let mut parts = WriteMultipart::new_with_chunk_size(begun, PART);
            loop {
                let mut part = Vec::new();
                (&mut file).take(PART as u64).read_to_end(&mut part)?;
                if part.is_empty() {
                    break;
                }
                // An upload that fails here is never seen: it appears when it is finished.
                parts = wait(async move {
                    parts.wait_for_capacity(PARTS).await?;
                    parts.put(part.into());
                    Ok(parts)
                })?;
            }
            wait(async move { parts.finish().await })?;
        }
        std::fs::remove_file(&path)
    }

    /// Brings an object to the scratch folder.
    pub(super) fn fetch(&self, name: &str) -> Result<(), IoError> {
        let (store, key) = (Arc::clone(&self.store), self.key(name));
        let mut parts = wait(async move { Ok(store.get(&key).await?.into_stream()) })?;
        let mut file = std::fs::File::create(self.local(name))?;
        loop {
            let (part, rest) = wait(async move {
                let part = parts.try_next().await?;
                Ok((part, parts))
            })?;
            parts = rest;
            match part {
                Some(part) => std::io::Write::write_all(&mut file, &part)?,
                None => return Ok(()),
            }
        }
    }
}

/// The end of a future that the runtime's thread works on, whatever thread this is.
fn wait<T: Send + 'static>(
    future: impl Future<Output = object_store::Result<T>> + Send + 'static,
) -> Result<T, IoError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let make = || Builder::new_multi_thread().worker_threads(1).thread_name("bucket").enable_all().build();
    let runtime = RUNTIME.get_or_init(|| make().map_err(|error| error.to_string()));
    let runtime = runtime.as_ref().map_err(|error| IoError::other(error.clone()))?;
    let (told, hears) = channel();
    runtime.spawn(async move {
        // Whoever waits is there until it is told.
        let _ = told.send(future.await);
    });
    let ended = hears.recv().map_err(|_| IoError::other("the thread of the bucket has ended"))?;
    ended.map_err(|error| {
        let kind = match error {
            object_store::Error::NotFound { .. } => ErrorKind::NotFound,
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
                ErrorKind::AlreadyExists
            }
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                ErrorKind::PermissionDenied
            }
            _ => ErrorKind::Other,
        };
        // What a server answers may be pages of XML.
        let text = error.to_string();
        IoError::new(kind, text.split(": <?xml").next().unwrap_or_default().to_string())
    })
}
