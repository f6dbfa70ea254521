//! <math.h> through crate libm.

use espb_vm::Trap;

use super::{Call, Registration, native, own};

/// Registers functions of libm under their own names: arguments in order, result. The expressions are what libm names otherwise or lacks.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),+) -> $result:ty $(= $value:expr)?;)+) => {
        $(extern "C" fn $name($($argument: $type),+) -> $result {
            functions!(@ $name($($argument),+) $($value)?)
        })+

        pub const TABLE: &[Registration] = &[$(native!(@ $name),)+];
    };
    (@ $name:ident($($argument:ident),+)) => { libm::$name($($argument),+) };
    (@ $name:ident($($argument:ident),+) $value:expr) => { $value };
}

/// Functions that give a second result through a pointer.
pub const POINTERS: &[Registration] = &[
    own("frexp", |call| {
        let (fraction, exponent) = libm::frexp(double(call, 0));
        call.vm.memory().write(call.word(2), &exponent.to_le_bytes())?;
        Ok(fraction.to_bits())
    }),
    own("frexpf", |call| {
        let (fraction, exponent) = libm::frexpf(float(call, 0));
        call.vm.memory().write(call.word(1), &exponent.to_le_bytes())?;
        Ok(fraction.to_bits().into())
    }),
    own("modf", |call| {
        let (fraction, whole) = libm::modf(double(call, 0));
        call.vm.memory().write(call.word(2), &whole.to_le_bytes())?;
        Ok(fraction.to_bits())
    }),
    own("modff", |call| {
        let (fraction, whole) = libm::modff(float(call, 0));
        call.vm.memory().write(call.word(1), &whole.to_le_bytes())?;
        Ok(fraction.to_bits().into())
    }),
    own("remquo", |call| {
        let (remainder, quotient) = libm::remquo(double(call, 0), double(call, 2));
        call.vm.memory().write(call.word(4), &quotient.to_le_bytes())?;
        Ok(remainder.to_bits())
    }),
    own("remquof", |call| {
        let (remainder, quotient) = libm::remquof(float(call, 0), float(call, 1));
        call.vm.memory().write(call.word(2), &quotient.to_le_bytes())?;
        Ok(remainder.to_bits().into())
    }),
    own("sincos", |call| {
        let (sine, cosine) = libm::sincos(double(call, 0));
        both(call, 2, &sine.to_le_bytes(), &cosine.to_le_bytes())
    }),
    own("sincosf", |call| {
        let (sine, cosine) = libm::sincosf(float(call, 0));
        both(call, 1, &sine.to_le_bytes(), &cosine.to_le_bytes())
    }),
];

/// Writes two results to the pointers in `slot` and the next.
fn both(call: &mut Call<'_, '_>, slot: usize, first: &[u8], second: &[u8]) -> Result<u64, Trap> {
    call.vm.memory().write(call.word(slot), first)?;
    call.vm.memory().write(call.word(slot + 1), second)?;
    Ok(0)
}

/// The double in a slot and the next.
fn double(call: &Call<'_, '_>, slot: usize) -> f64 {
    f64::from_bits(u64::from(call.word(slot)) | u64::from(call.word(slot + 1)) << 32)
}

/// The float in a slot.
fn float(call: &Call<'_, '_>, slot: usize) -> f32 {
    f32::from_bits(call.word(slot))
}

functions! {
    acos(x: f64) -> f64;
    acosf(x: f32) -> f32;
    asin(x: f64) -> f64;
    asinf(x: f32) -> f32;
    atan(x: f64) -> f64;
    atanf(x: f32) -> f32;
    atan2(y: f64, x: f64) -> f64;
    atan2f(y: f32, x: f32) -> f32;
    cos(x: f64) -> f64;
    cosf(x: f32) -> f32;
    sin(x: f64) -> f64;
    sinf(x: f32) -> f32;
    tan(x: f64) -> f64;
    tanf(x: f32) -> f32;
    exp(x: f64) -> f64;
    expf(x: f32) -> f32;
    log(x: f64) -> f64;
    logf(x: f32) -> f32;
    log10(x: f64) -> f64;
    log10f(x: f32) -> f32;
    log2(x: f64) -> f64;
    log2f(x: f32) -> f32;
    pow(x: f64, y: f64) -> f64;
    powf(x: f32, y: f32) -> f32;
    sqrt(x: f64) -> f64;
    sqrtf(x: f32) -> f32;
    cbrt(x: f64) -> f64;
    cbrtf(x: f32) -> f32;
    hypot(x: f64, y: f64) -> f64;
    hypotf(x: f32, y: f32) -> f32;
    ceil(x: f64) -> f64;
    ceilf(x: f32) -> f32;
    floor(x: f64) -> f64;
    floorf(x: f32) -> f32;
    trunc(x: f64) -> f64;
    truncf(x: f32) -> f32;
    round(x: f64) -> f64;
    roundf(x: f32) -> f32;
    rint(x: f64) -> f64;
    rintf(x: f32) -> f32;
    fabs(x: f64) -> f64;
    fabsf(x: f32) -> f32;
    fmod(x: f64, y: f64) -> f64;
    fmodf(x: f32, y: f32) -> f32;
    fmax(x: f64, y: f64) -> f64;
    fmaxf(x: f32, y: f32) -> f32;
    fmin(x: f64, y: f64) -> f64;
    fminf(x: f32, y: f32) -> f32;
    copysign(x: f64, y: f64) -> f64;
    copysignf(x: f32, y: f32) -> f32;
    fma(x: f64, y: f64, z: f64) -> f64;
    fmaf(x: f32, y: f32, z: f32) -> f32;
    ldexp(x: f64, exponent: i32) -> f64;
    ldexpf(x: f32, exponent: i32) -> f32;
    acosh(x: f64) -> f64;
    acoshf(x: f32) -> f32;
    asinh(x: f64) -> f64;
    asinhf(x: f32) -> f32;
    atanh(x: f64) -> f64;
    atanhf(x: f32) -> f32;
    cosh(x: f64) -> f64;
    coshf(x: f32) -> f32;
    sinh(x: f64) -> f64;
    sinhf(x: f32) -> f32;
    tanh(x: f64) -> f64;
    tanhf(x: f32) -> f32;
    exp2(x: f64) -> f64;
    exp2f(x: f32) -> f32;
    exp10(x: f64) -> f64;
    exp10f(x: f32) -> f32;
    expm1(x: f64) -> f64;
    expm1f(x: f32) -> f32;
    log1p(x: f64) -> f64;
    log1pf(x: f32) -> f32;
    erf(x: f64) -> f64;
    erff(x: f32) -> f32;
    erfc(x: f64) -> f64;
    erfcf(x: f32) -> f32;
    tgamma(x: f64) -> f64;
    tgammaf(x: f32) -> f32;
    lgamma(x: f64) -> f64;
    lgammaf(x: f32) -> f32;
    fdim(x: f64, y: f64) -> f64;
    fdimf(x: f32, y: f32) -> f32;
    remainder(x: f64, y: f64) -> f64;
    remainderf(x: f32, y: f32) -> f32;
    nextafter(x: f64, y: f64) -> f64;
    nextafterf(x: f32, y: f32) -> f32;
    scalbn(x: f64, exponent: i32) -> f64;
    scalbnf(x: f32, exponent: i32) -> f32;
    ilogb(x: f64) -> i32;
    ilogbf(x: f32) -> i32;
    nearbyint(x: f64) -> f64 = libm::rint(x);
    nearbyintf(x: f32) -> f32 = libm::rintf(x);
    scalbln(x: f64, exponent: i32) -> f64 = libm::scalbn(x, exponent);
    scalblnf(x: f32, exponent: i32) -> f32 = libm::scalbnf(x, exponent);
    lround(x: f64) -> i32 = libm::round(x) as i32;
    lroundf(x: f32) -> i32 = libm::roundf(x) as i32;
    llround(x: f64) -> i64 = libm::round(x) as i64;
    llroundf(x: f32) -> i64 = libm::roundf(x) as i64;
    lrint(x: f64) -> i32 = libm::rint(x) as i32;
    lrintf(x: f32) -> i32 = libm::rintf(x) as i32;
    llrint(x: f64) -> i64 = libm::rint(x) as i64;
    llrintf(x: f32) -> i64 = libm::rintf(x) as i64;
    logb(x: f64) -> f64 = if x == 0.0 { f64::NEG_INFINITY } else if x.is_finite() { libm::ilogb(x).into() } else { x * x };
    logbf(x: f32) -> f32 = if x == 0.0 { f32::NEG_INFINITY } else if x.is_finite() { libm::ilogbf(x) as f32 } else { x * x };
}
