//! Request bodies that come compressed (`Content-Encoding`): gzip and deflate, as ROS took them.
//!
//! Invariant: what comes out is bounded like what comes in, so that a small body cannot become a large one.

use std::io::Read;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::bufread::{GzDecoder, ZlibDecoder};

use super::body::{self, LONGEST};
use super::error::Problem;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    /// The zlib format (RFC 9110, 8.4.1.2), not the bare stream that some clients mean by it.
    Deflate,
}

impl Encoding {
    /// What the headers say.
    ///
    /// # Errors
    /// 415 for other encodings, and for several on top of each other.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Ok(Self::Identity) };
        let text = value.to_str().unwrap_or_default().trim();
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        match text {
            _ if values.next().is_some() => Err(unsupported("several")),
            "" if value.is_empty() => Ok(Self::Identity),
            _ if is("identity") => Ok(Self::Identity),
            _ if is("gzip") => Ok(Self::Gzip),
            _ if is("deflate") => Ok(Self::Deflate),
            _ => Err(unsupported(text)),
        }
    }

    /// Unpacks a body.
    ///
    /// # Errors
    /// 400 where it is broken, cut off or goes on behind its end; 413 where too much comes out.
    pub(super) fn decode(self, packed: Bytes) -> Result<Bytes, Problem> {
        if packed.is_empty() {
            return Ok(packed);
        }
        let (decoded, rest) = match self {
            Self::Identity => return Ok(packed),
            Self::Gzip => {
                let mut decoder = GzDecoder::new(&*packed);
                (inflate(&mut decoder)?, decoder.into_inner())
            }
            Self::Deflate => {
                let mut decoder = ZlibDecoder::new(&*packed);
                (inflate(&mut decoder)?, decoder.into_inner())
            }
        };
        // Not read on: a body of thousands of empty pieces is work without end for whoever does.
        if rest.is_empty() { Ok(decoded.into()) } else { Err(broken()) }
    }
}

fn inflate(decoder: &mut impl Read) -> Result<Vec<u8>, Problem> {
    let mut decoded = Vec::new();
    let limit = LONGEST as u64 + 1;
    decoder.take(limit).read_to_end(&mut decoded).map_err(|_| broken())?;
    if decoded.len() > LONGEST { Err(body::too_large()) } else { Ok(decoded) }
}

fn unsupported(encoding: &str) -> Problem {
    let shown: String = encoding.chars().take(40).collect();
    let title = format!("unsupported content encoding \"{shown}\"");
    Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, title)
}

fn broken() -> Problem {
    Problem::plain(StatusCode::BAD_REQUEST, "The compressed request body cannot be read")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// What comes out, or the status.
    fn decoded(encoding: Encoding, packed: &[u8]) -> Result<Vec<u8>, u16> {
        let decoded = encoding.decode(Bytes::copy_from_slice(packed));
        decoded.map(|bytes| bytes.to_vec()).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn what_was_packed_comes_out_whole() {
        for text in [&b"{}"[..], b"", &b"x".repeat(LONGEST)] {
            assert!(decoded(Encoding::Gzip, &gzip(text)).as_deref() == Ok(text));
            assert!(decoded(Encoding::Deflate, &zlib(text)).as_deref() == Ok(text));
            assert!(decoded(Encoding::Identity, text).as_deref() == Ok(text));
        }
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            assert_eq!(decoded(encoding, b""), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_small_body_never_becomes_a_large_one() {
        for size in [LONGEST + 1, 50_000_000] {
            let bomb = b"0".repeat(size);
            assert_eq!(decoded(Encoding::Gzip, &gzip(&bomb)), Err(413));
            assert_eq!(decoded(Encoding::Deflate, &zlib(&bomb)), Err(413));
            // It is not unpacked to its end: that its end is broken is not even seen.
            let mut broken = gzip(&bomb);
            broken.truncate(broken.len() - 1);
            assert_eq!(decoded(Encoding::Gzip, &broken), Err(413));
        }
    }

    #[test]
    fn what_is_broken_cut_off_or_goes_on_is_refused() {
        let (gzip, zlib) = (gzip(b"{\"a\":\"b\"}"), zlib(b"{\"a\":\"b\"}"));
        for (encoding, good, other) in [(Encoding::Gzip, &gzip, &zlib), (Encoding::Deflate, &zlib, &gzip)] {
            assert_eq!(decoded(encoding, other), Err(400));
            assert_eq!(decoded(encoding, b"{}"), Err(400));
            for end in 1..good.len() {
                assert_eq!(decoded(encoding, &good[..end]), Err(400), "{encoding:?} cut at {end}");
            }
            assert_eq!(decoded(encoding, &[good.as_slice(), b"x"].concat()), Err(400));
            assert_eq!(decoded(encoding, &[good.as_slice(), good].concat()), Err(400));
            // The checksum at the end is looked at.
            let mut altered = good.clone();
            let at = altered.len() - 5;
            altered[at] ^= 1;
            let last = altered.len() - 1;
            altered[last] ^= 1;
            assert_eq!(decoded(encoding, &altered), Err(400));
        }
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(b"{}").unwrap();
        assert_eq!(decoded(Encoding::Deflate, &bare.finish().unwrap()), Err(400));
    }

    #[test]
    fn other_encodings_and_several_are_not_supported() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            Encoding::of(&headers).map_err(|problem| problem.sentence().to_owned())
        };
        assert_eq!(of(&[]), Ok(Encoding::Identity));
        assert_eq!(of(&[""]), Ok(Encoding::Identity));
        assert_eq!(of(&["Identity"]), Ok(Encoding::Identity));
        assert_eq!(of(&["GZIP"]), Ok(Encoding::Gzip));
        assert_eq!(of(&["deflate"]), Ok(Encoding::Deflate));
        assert_eq!(of(&["br"]), Err("unsupported content encoding \"br\"".to_owned()));
        for several in [&["gzip, gzip"][..], &["gzip", "gzip"], &["identity", "gzip"], &["ä"]] {
            assert!(of(several).is_err(), "{several:?}");
        }
    }
}
