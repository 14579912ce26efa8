//! A natural logarithm that is bit for bit the same on every platform.
//!
//! `f64::ln` calls the platform's mathematics library, and glibc, musl and macOS may differ in the last bit. Two
//! proxies that differ in the last bit may place a session differently. This one uses only additions,
//! multiplications and divisions, which IEEE 754 fixes exactly.

const LN_2: f64 = std::f64::consts::LN_2;
const MANTISSA: u64 = (1 << 52) - 1;

/// `-ln(x)` for a normal `x` with `0 < x < 1`, right to 15 digits.
pub(super) fn minus_ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mut mantissa = f64::from_bits((bits & MANTISSA) | (1023 << 52));
    // Between sqrt(1/2) and sqrt(2), so that the series below is short and nothing cancels out near 1.
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh(s) with s = (m - 1) / (m + 1), |s| < 0.172; ten terms leave less than 1e-17.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    let mut sum = 1.0 / 19.0;
    for term in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum * q + 1.0 / term;
    }
    -(f64::from(exponent) * LN_2 + 2.0 * s * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_library() {
        let mut x: u64 = 1;
        for _ in 0..100_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let u = ((x >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
            let (ours, theirs) = (minus_ln(u), -u.ln());
            assert!((ours - theirs).abs() <= theirs * 1e-15, "{u}: {ours} {theirs}");
        }
    }

    #[test]
    fn holds_at_both_ends() {
        let low = 0.5 / (1u64 << 52) as f64;
        let high = 1.0 - 0.5 / (1u64 << 52) as f64;
        assert!((minus_ln(low) - 53.0 * LN_2).abs() < 1e-12);
        assert!((minus_ln(high) - 0.5 / (1u64 << 52) as f64).abs() < 1e-30);
        assert!(minus_ln(high) > 0.0);
    }

    #[test]
    fn is_pinned() {
        assert_eq!(minus_ln(0.5).to_bits(), LN_2.to_bits());
        assert_eq!(minus_ln(0.3).to_bits(), 4_608_101_030_645_573_408);
        assert_eq!(minus_ln(0.999).to_bits(), 4_562_256_816_298_761_075);
    }
}
