//! Which instruction set does the work, chosen when the program runs.

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512;
use super::isa::{Isa, Job};
#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::scalar::Scalar;
use crate::Error;
use std::sync::OnceLock;

/// An instruction set that this processor has. All of them give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simd(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Scalar,
}

impl Simd {
    /// Every instruction set that the search knows and the processor has, best first.
    pub fn available() -> Vec<Simd> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(Avx512::new().map(|isa| Simd(Kind::Avx512(isa))));
            found.extend(Avx2::new().map(|isa| Simd(Kind::Avx2(isa))));
        }
        #[cfg(target_arch = "aarch64")]
        found.extend(Neon::new().map(|isa| Simd(Kind::Neon(isa))));
        found.push(Simd(Kind::Scalar));
        found
    }

    /// The instruction set that the environment variable `THALWEG_SIMD` names, else the best. A name that the processor does not know is
    /// passed over here; [`Simd::wanted`] says so.
    pub fn best() -> Simd {
        static BEST: OnceLock<Simd> = OnceLock::new();
        *BEST.get_or_init(|| Self::wanted().ok().flatten().unwrap_or_else(|| Self::available()[0]))
    }

    /// The instruction set that the environment variable `THALWEG_SIMD` names.
    ///
    /// # Errors
    /// [`Error::Value`] if the processor has none of that name.
    pub fn wanted() -> Result<Option<Simd>, Error> {
        let Ok(wanted) = std::env::var("THALWEG_SIMD") else { return Ok(None) };
        let available = Self::available();
        match available.iter().find(|simd| simd.name() == wanted) {
            Some(simd) => Ok(Some(*simd)),
            None => {
                let names: Vec<_> = available.iter().map(|simd| simd.name()).collect();
                let expected = format!("one of {}", names.join(", "));
                Err(Error::Value { what: "THALWEG_SIMD", found: wanted, expected })
            }
        }
    }

    /// `avx512`, `avx2`, `neon` or `scalar`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "neon",
            Kind::Scalar => "scalar",
        }
    }

    /// Runs a job with it.
    pub(super) fn run<J: Job>(self, job: J) -> J::Out {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(isa) => isa.run(job),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(isa) => isa.run(job),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(isa) => isa.run(job),
            Kind::Scalar => Scalar.run(job),
        }
    }
}
