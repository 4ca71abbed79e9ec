//! Run-time dispatch of the element-wise kernels: one body, compiled for the baseline and for AVX2.
//!
//! The body has no fused multiply-add, and Rust never contracts one, so both copies give the same bits; what AVX2 adds is
//! width. The dense products are another matter: `gemm` fuses where the processor can, so [`dense_path`] names its path.

/// Which instructions the dense products use: results are bit-identical among machines on the same path.
pub fn dense_path() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "avx512f";
        }
        if std::arch::is_x86_feature_detected!("fma") {
            return "avx2+fma";
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        return "neon";
    }
    #[allow(unreachable_code)]
    "scalar"
}

/// Asks for the memory of the first `count` values of a row that is read soon.
#[inline(always)]
pub(super) fn ahead(row: &[f32], count: usize) {
    let row = &row[..count.min(row.len())];
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(16) {
        // SAFETY: a prefetch reads nothing that the program sees, whatever the address.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

/// Defines a function whose body is also compiled for AVX2, and picked where the processor has it.
macro_rules! widened {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<const $n:ident: usize>)? ($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<const $n: usize>)? ($($arg: $type),*) {
            #[inline(always)]
            fn body $(<const $n: usize>)? ($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide $(<const $n: usize>)? ($($arg: $type),*) {
                    body($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: `wide` needs AVX2 alone, and the processor has just been asked for it.
                    return unsafe { wide($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use widened;
