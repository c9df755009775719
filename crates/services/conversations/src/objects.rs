//! Where the bytes of media are: a folder, or a bucket of S3 or of what speaks like it.
//!
//! Objects are written once and never changed. This module decides nothing about them.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};
use url::Url;

/// The object store. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
}

impl Objects {
    /// Opens what `media.store` names. A folder is made; a bucket is not asked for.
    pub(crate) fn open(address: &str) -> anyhow::Result<Self> {
        let needed = "LEASELINE_MEDIA_STORE: give file:///folder or s3://bucket/prefix";
        let url = Url::parse(address).context(needed)?;
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => {
                let Ok(folder) = url.to_file_path() else { bail!(needed) };
                std::fs::create_dir_all(&folder)
                    .with_context(|| format!("the media folder {} cannot be made", folder.display()))?;
                // Once it is stored the carrier's address is forgotten: it must survive a crash.
                Arc::new(LocalFileSystem::new_with_prefix(folder).context(needed)?.with_fsync(true))
            }
            "s3" => {
                let bucket = AmazonS3Builder::from_env().with_url(address).build().context("the bucket for media")?;
                Arc::new(PrefixStore::new(bucket, Path::from_url_path(url.path()).context(needed)?))
            }
            _ => bail!(needed),
        };
        Ok(Self { store })
    }

    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        self.store.put(&Path::from(key), bytes.into()).await?;
        Ok(())
    }

    /// The bytes, in pieces of whatever size. `None`: there is no such object.
    pub(crate) async fn find(&self, key: &str) -> Result<Option<BoxStream<'static, Result<Bytes, Error>>>, Error> {
        match self.store.get(&Path::from(key)).await {
            Ok(found) => Ok(Some(found.into_stream())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes an object. One that is not there is removed.
    pub(crate) async fn remove(&self, key: &str) -> Result<(), Error> {
        match self.store.delete(&Path::from(key)).await {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_no_folder_and_no_bucket_is_found_at_start() {
        for wrong in ["", ".dev/media", "https://example.com/x", "file://host/x", "memory:///"] {
            assert!(format!("{:#}", Objects::open(wrong).unwrap_err()).contains("LEASELINE_MEDIA_STORE"), "{wrong}");
        }
    }

    #[test]
    fn a_bucket_needs_no_connection_to_be_opened() {
        chassis::process::install_tls();
        assert!(Objects::open("s3://bucket/media").is_ok());
    }
}
