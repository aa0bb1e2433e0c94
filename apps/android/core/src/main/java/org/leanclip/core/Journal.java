package org.leanclip.core;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.zip.CRC32;

/**
 * Lines that are only ever appended, each with a checksum.
 *
 * <p>A line that a killed process left half-written ends the journal: it and what follows are
 * cut off when the journal is opened.
 */
final class Journal implements Closeable {
    private static final int CHECKSUM = 8;

    private final RandomAccessFile file;
    private final List<String> lines = new ArrayList<>();
    private final List<Long> ends = new ArrayList<>();

    Journal(File path) throws IOException {
        file = new RandomAccessFile(path, "rw");
        byte[] content = new byte[(int) file.length()];
        file.readFully(content);
        int start = 0;
        for (int at = 0; at < content.length; at++) {
            if (content[at] == '\n') {
                String line = new String(content, start, at - start, StandardCharsets.US_ASCII);
                if (!isWhole(line)) {
                    break;
                }
                lines.add(line.substring(CHECKSUM + 1));
                start = at + 1;
                ends.add((long) start);
            }
        }
        file.setLength(start);
    }

    /** Bodies of the whole lines that were there when it was opened. */
    List<String> lines() {
        return lines;
    }

    /** Cuts all lines but the first ones. */
    void keep(int count) throws IOException {
        file.setLength(count == 0 ? 0 : ends.get(count - 1));
    }

    void append(List<String> bodies) throws IOException {
        StringBuilder out = new StringBuilder();
        for (String body : bodies) {
            out.append(checksum(body)).append(' ').append(body).append('\n');
        }
        file.seek(file.length());
        file.write(out.toString().getBytes(StandardCharsets.US_ASCII));
        file.getChannel().force(false);
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    private static boolean isWhole(String line) {
        return line.length() > CHECKSUM
                && line.startsWith(checksum(line.substring(CHECKSUM + 1)) + " ");
    }

    private static String checksum(String body) {
        CRC32 crc = new CRC32();
        byte[] bytes = body.getBytes(StandardCharsets.US_ASCII);
        crc.update(bytes, 0, bytes.length);
        return String.format(Locale.ROOT, "%08x", crc.getValue());
    }
}
