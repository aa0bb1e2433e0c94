package org.leanclip.core;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Text whose UTF-8 was read in a code page, read again as what it was.
 *
 * <p>Does what the encoding steps of ftfy 6.3 do, with the character classes of its patterns
 * (see NOTICE): photos' captions that were copied from web pages have such errors, and token ids
 * must be those that the model was trained with.
 */
final class Mojibake {
    private static final Pattern BAD;
    private static final Pattern UTF8;
    /** As Latin-1, where each character is one byte. */
    private static final Pattern ALTERED =
            Pattern.compile(
                    "[\\u00c2\\u00c3\\u00c5\\u00ce\\u00d0\\u00d9] "
                            + "|[\\u00e2\\u00e3] [\\u0080-\\u0084\\u0086-\\u009f\\u00a1-\\u00bf]"
                            + "|[\\u00e0-\\u00e3][\\u0080-\\u0084\\u0086-\\u009f\\u00a1-\\u00bf] "
                            + "|\\u00f0 [\\u0080-\\u00bf][\\u0080-\\u00bf]"
                            + "|\\u00f0[\\u0080-\\u00bf] [\\u0080-\\u00bf]"
                            + "|\\u00f0[\\u0080-\\u00bf][\\u0080-\\u00bf] ");

    private static final Pattern A_GRAVE = Pattern.compile("\\u00c3 (?! |quele|quela|quilo|s )");
    private static final String LOST = "\\u001a";
    private static final String REST = "\\u0080-\\u00bf";
    private static final Pattern LOSSY =
            Pattern.compile(
                    "[\\u00c2-\\u00df]" + LOST
                            + "|[\\u00c2\\u00c3]\\?"
                            + "|\\u00ed[\\u00a0-\\u00af][" + LOST + "?]\\u00ed[\\u00b0-\\u00bf]["
                            + LOST + "?" + REST + "]"
                            + "|\\u00ed[\\u00a0-\\u00af][" + LOST + "?" + REST
                            + "]\\u00ed[\\u00b0-\\u00bf][" + LOST + "?]"
                            + "|[\\u00e0-\\u00ef][" + LOST + "?][" + LOST + REST + "]"
                            + "|[\\u00e0-\\u00ef][" + LOST + REST + "][" + LOST + "?]"
                            + "|[\\u00f0-\\u00f4][" + LOST + "?][" + LOST + REST + "]["
                            + LOST + REST + "]"
                            + "|[\\u00f0-\\u00f4][" + LOST + REST + "][" + LOST + "?]["
                            + LOST + REST + "]"
                            + "|[\\u00f0-\\u00f4][" + LOST + REST + "][" + LOST + REST + "]["
                            + LOST + "?]"
                            + "|" + LOST);

    private static final String REPLACEMENT_BYTES = "\u00ef\u00bf\u00bd";

    static {
        Pattern bad = null;
        Pattern utf8 = null;
        for (String line : Resources.lines("mojibake.txt")) {
            if (line.startsWith("bad ")) {
                bad = Pattern.compile(line.substring("bad ".length()));
            } else if (line.startsWith("utf8 ")) {
                utf8 = Pattern.compile(line.substring("utf8 ".length()));
            }
        }
        BAD = bad;
        UTF8 = utf8;
    }

    private Mojibake() {}

    /** Mends until nothing changes any more. */
    static String mend(String text) {
        String before;
        do {
            before = text;
            text = mendOnce(text);
        } while (!text.equals(before));
        return text;
    }

    /** C1 control characters as what Windows-1252 has in their place. */
    static String mendControls(String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int place = 0; place < text.length(); place++) {
            char next = text.charAt(place);
            out.append(isC1(next) ? CodePage.WINDOWS_1252.decode(next) : String.valueOf(next));
        }
        return out.toString();
    }

    private static String mendOnce(String text) {
        if (isAscii(text) || !BAD.matcher(text).find()) {
            return text;
        }
        for (CodePage page : CodePage.LIKELY) {
            byte[] encoded = page.encode(text);
            String fixed = encoded == null ? null : readAgain(page, encoded);
            if (fixed != null) {
                return fixed;
            }
        }
        String embedded = mendEmbedded(text);
        if (!embedded.equals(text)) {
            return embedded;
        }
        return mendControls(text);
    }

    private static String readAgain(CodePage page, byte[] encoded) {
        String bytes = new String(encoded, StandardCharsets.ISO_8859_1);
        if (!page.name.equals("macroman") && ALTERED.matcher(bytes).find()) {
            bytes = restoreSpaces(A_GRAVE.matcher(bytes).replaceAll("\u00c3\u00a0 "));
        }
        if (page.isSloppy()) {
            bytes = LOSSY.matcher(bytes).replaceAll(REPLACEMENT_BYTES);
        }
        boolean variants = bytes.indexOf('\u00ed') >= 0 || bytes.indexOf('\u00c0') >= 0;
        return variants ? decodeVariants(bytes) : decode(bytes);
    }

    private static String restoreSpaces(String bytes) {
        StringBuilder out = new StringBuilder();
        Matcher matcher = ALTERED.matcher(bytes);
        int end = 0;
        while (matcher.find()) {
            out.append(bytes, end, matcher.start());
            out.append(matcher.group().replace(' ', '\u00a0'));
            end = matcher.end();
        }
        return out.append(bytes, end, bytes.length()).toString();
    }

    private static String mendEmbedded(String text) {
        StringBuilder out = new StringBuilder();
        Matcher matcher = UTF8.matcher(text);
        int end = 0;
        while (matcher.find()) {
            String found = matcher.group();
            boolean wrong = found.length() < text.length() && BAD.matcher(found).find();
            out.append(text, end, matcher.start()).append(wrong ? mend(found) : found);
            end = matcher.end();
        }
        return out.append(text, end, text.length()).toString();
    }

    /** Strict UTF-8; null if it is not. */
    private static String decode(String bytes) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes.getBytes(StandardCharsets.ISO_8859_1)))
                    .toString();
        } catch (CharacterCodingException error) {
            return null;
        }
    }

    /** UTF-8 with surrogates of three bytes each (CESU-8) and a null of two; null if it is not. */
    private static String decodeVariants(String bytes) {
        ByteArrayOutputStream plain = new ByteArrayOutputStream(bytes.length());
        for (int at = 0; at < bytes.length(); at++) {
            if (bytes.startsWith("\u00c0\u0080", at)) {
                plain.write(0);
                at++;
            } else if (isSurrogatePair(bytes, at)) {
                int code =
                        ((bytes.charAt(at + 1) & 0x0F) << 16)
                                + ((bytes.charAt(at + 2) & 0x3F) << 10)
                                + ((bytes.charAt(at + 4) & 0x0F) << 6)
                                + (bytes.charAt(at + 5) & 0x3F)
                                + 0x10000;
                byte[] four = new String(Character.toChars(code)).getBytes(StandardCharsets.UTF_8);
                plain.write(four, 0, four.length);
                at += 5;
            } else {
                plain.write(bytes.charAt(at));
            }
        }
        return decode(new String(plain.toByteArray(), StandardCharsets.ISO_8859_1));
    }

    private static boolean isSurrogatePair(String bytes, int at) {
        return at + 5 < bytes.length()
                && bytes.charAt(at) == 0xED
                && bytes.charAt(at + 1) >= 0xA0
                && bytes.charAt(at + 1) <= 0xAF
                && isContinuation(bytes.charAt(at + 2))
                && bytes.charAt(at + 3) == 0xED
                && bytes.charAt(at + 4) >= 0xB0
                && bytes.charAt(at + 4) <= 0xBF
                && isContinuation(bytes.charAt(at + 5));
    }

    private static boolean isContinuation(char value) {
        return value >= 0x80 && value <= 0xBF;
    }

    private static boolean isC1(char value) {
        return value >= 0x80 && value <= 0x9F;
    }

    private static boolean isAscii(String text) {
        for (int place = 0; place < text.length(); place++) {
            if (text.charAt(place) > 0x7F) {
                return false;
            }
        }
        return true;
    }
}
