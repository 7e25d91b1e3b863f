"""From files of every form to samples and back: decoding, mu-law levels, clips."""
