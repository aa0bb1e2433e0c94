package org.leanclip.core;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * Which photos were indexed, and their vectors.
 *
 * <p>Vectors lie in one fp16 file; a journal beside it says which row is which photo, and which
 * photos could not be read. A photo that changed gets a new row, one that vanished a tombstone;
 * {@link #compact} writes what is left anew. What was committed survives a crash at any moment;
 * what was not is indexed again. Safe for several threads: a search sees what was committed
 * before it began.
 */
public final class PhotoIndex implements Closeable {
    private static final long DEAD = -1;
    private static final int NO_ROW = -1;
    private static final String VECTORS = "vectors.f16";
    private static final String JOURNAL = "journal.txt";
    private static final int FORMAT = 1;
    private static final int FEW = 256;

    /** A photo that was found. */
    public static final class Match {
        public final long id;
        /** Cosine of photo and query. */
        public final float score;

        Match(long id, float score) {
            this.id = id;
            this.score = score;
        }
    }

    private static final class Entry {
        final int row;
        final long modified;
        final long size;
        final String reason;

        Entry(int row, long modified, long size, String reason) {
            this.row = row;
            this.modified = modified;
            this.size = size;
            this.reason = reason;
        }
    }

    private final Generations generations;
    private final int dim;
    private final Map<Long, Entry> entries = new LinkedHashMap<>();
    private final List<float[]> waitingVectors = new ArrayList<>();
    private final List<String> waitingLines = new ArrayList<>();
    private VectorFile vectors;
    private Journal journal;
    /** The photo of each committed or waiting row, or {@code DEAD}. */
    private long[] idOfRow = new long[FEW];
    private int rows;

    /**
     * Opens the index of one embedding space, or makes an empty one.
     *
     * @param folder of its own for each bundle fingerprint, so that vectors never mix
     */
    public PhotoIndex(File folder, int dim) throws IOException {
        this.generations = new Generations(folder);
        this.dim = dim;
        open();
        replay();
    }

    /** Whether this very state of a photo is known: indexed, or found unreadable. */
    public synchronized boolean knows(long id, long modified, long size) {
        Entry entry = entries.get(id);
        return entry != null && entry.modified == modified && entry.size == size;
    }

    /** Adds a photo, or replaces it; takes effect with {@link #commit}. */
    public synchronized void add(long id, long modified, long size, float[] vector) {
        if (vector.length != dim) {
            throw new IllegalArgumentException(
                    "a vector of " + vector.length + " numbers in an index of " + dim);
        }
        forget(id);
        waitingVectors.add(vector.clone());
        waitingLines.add("+ " + rows + " " + id + " " + modified + " " + size);
        place(id, new Entry(rows, modified, size, null));
    }

    /** Remembers that a photo cannot be read, so that it is not tried again until it changes. */
    public synchronized void addUnreadable(long id, long modified, long size, String reason) {
        forget(id);
        waitingLines.add(
                "! " + id + " " + modified + " " + size + " " + Json.write(reason));
        entries.put(id, new Entry(NO_ROW, modified, size, reason));
    }

    /** Drops photos that are not there any more; returns how many. Takes effect with a commit. */
    public synchronized int keepOnly(Set<Long> present) {
        Set<Long> gone = new HashSet<>(entries.keySet());
        gone.removeAll(present);
        for (long id : gone) {
            forget(id);
            entries.remove(id);
            waitingLines.add("- " + id);
        }
        return gone.size();
    }

    /** Makes what was added and dropped since the last commit last: first rows, then journal. */
    public synchronized void commit() throws IOException {
        if (waitingLines.isEmpty()) {
            return;
        }
        vectors.append(rows - waitingVectors.size(), waitingVectors);
        vectors.flush();
        journal.append(waitingLines);
        waitingVectors.clear();
        waitingLines.clear();
    }

    /** Photos that can be found. */
    public synchronized int size() {
        return entries.size() - unreadable().size();
    }

    /** Rows of photos that changed or vanished. */
    public synchronized int tombstones() {
        return rows - size();
    }

    /** Why photos could not be read, by their id. */
    public synchronized Map<Long, String> unreadable() {
        Map<Long, String> found = new LinkedHashMap<>();
        for (Map.Entry<Long, Entry> entry : entries.entrySet()) {
            if (entry.getValue().row == NO_ROW) {
                found.put(entry.getKey(), entry.getValue().reason);
            }
        }
        return found;
    }

    /** The vector of a photo, to search for similar ones; null if it has none. */
    public synchronized float[] vector(long id) throws IOException {
        Entry entry = entries.get(id);
        int waiting = rows - waitingVectors.size();
        if (entry == null || entry.row == NO_ROW) {
            return null;
        }
        return entry.row >= waiting
                ? waitingVectors.get(entry.row - waiting).clone()
                : vectors.row(entry.row);
    }

    /**
     * The photos nearest to a query, best first; of equal ones, the earlier indexed.
     *
     * @param query of length one
     */
    public List<Match> search(float[] query, int top) throws IOException {
        long[] ids;
        float[] scores;
        synchronized (this) {
            int committed = rows - waitingVectors.size();
            ids = Arrays.copyOf(idOfRow, committed);
            scores = vectors.scores(query, committed, ids, DEAD);
        }
        List<Match> matches = new ArrayList<>();
        for (int row : best(scores, top)) {
            matches.add(new Match(ids[row], scores[row]));
        }
        return matches;
    }

    /** Compacts where more rows are dead than alive; few are not worth the writing. */
    public synchronized boolean compactIfWorthwhile() throws IOException {
        if (tombstones() < FEW || tombstones() < size()) {
            return false;
        }
        compact();
        return true;
    }

    /** Writes the living rows into a new generation, then drops the old one. */
    public synchronized void compact() throws IOException {
        commit();
        File next = generations.begin();
        List<String> lines = new ArrayList<>();
        lines.add(header());
        try (VectorFile living = new VectorFile(new File(next, VECTORS), dim);
                Journal written = new Journal(new File(next, JOURNAL))) {
            int at = 0;
            for (Map.Entry<Long, Entry> item : entries.entrySet()) {
                Entry entry = item.getValue();
                String state = item.getKey() + " " + entry.modified + " " + entry.size;
                if (entry.row == NO_ROW) {
                    lines.add("! " + state + " " + Json.write(entry.reason));
                } else {
                    living.copyRow(at, vectors, entry.row);
                    lines.add("+ " + at++ + " " + state);
                }
            }
            living.flush();
            written.append(lines);
        }
        close();
        generations.finish(next);
        open();
        replay();
    }

    @Override
    public synchronized void close() throws IOException {
        vectors.close();
        journal.close();
    }

    /** Rows of the best scores that are no NaN, best first. */
    private static List<Integer> best(float[] scores, int top) {
        PriorityQueue<Integer> best =
                new PriorityQueue<>(
                        (one, other) ->
                                scores[one] != scores[other]
                                        ? Float.compare(scores[one], scores[other])
                                        : Integer.compare(other, one));
        for (int row = 0; row < scores.length; row++) {
            if (!Float.isNaN(scores[row])) {
                best.add(row);
                if (best.size() > top) {
                    best.poll();
                }
            }
        }
        List<Integer> rows = new ArrayList<>();
        while (!best.isEmpty()) {
            rows.add(best.poll());
        }
        Collections.reverse(rows);
        return rows;
    }

    private void place(long id, Entry entry) {
        if (rows == idOfRow.length) {
            idOfRow = Arrays.copyOf(idOfRow, 2 * rows);
        }
        idOfRow[rows++] = id;
        entries.put(id, entry);
    }

    private void forget(long id) {
        Entry entry = entries.get(id);
        if (entry != null && entry.row != NO_ROW) {
            idOfRow[entry.row] = DEAD;
        }
    }

    private void open() throws IOException {
        vectors = new VectorFile(new File(generations.current(), VECTORS), dim);
        journal = new Journal(new File(generations.current(), JOURNAL));
    }

    /** Reads the journal; its first line that makes no sense ends it. */
    private void replay() throws IOException {
        entries.clear();
        rows = 0;
        List<String> lines = journal.lines();
        int stored = vectors.rows();
        int whole = 0;
        if (!lines.isEmpty() && lines.get(0).equals(header())) {
            whole = 1;
            while (whole < lines.size() && apply(lines.get(whole), stored)) {
                whole++;
            }
        }
        journal.keep(whole);
        vectors.keep(rows);
        if (whole == 0) {
            journal.append(Collections.singletonList(header()));
        }
    }

    private boolean apply(String line, int stored) {
        String[] words = line.split(" ", 5);
        if (words[0].equals("-")) {
            forget(Long.parseLong(words[1]));
            entries.remove(Long.parseLong(words[1]));
            return true;
        }
        if (words[0].equals("!")) {
            long id = Long.parseLong(words[1]);
            forget(id);
            String reason = (String) Json.parse(words[4]);
            Entry entry =
                    new Entry(NO_ROW, Long.parseLong(words[2]), Long.parseLong(words[3]), reason);
            entries.put(id, entry);
            return true;
        }
        if (Integer.parseInt(words[1]) != rows || rows >= stored) {
            return false;
        }
        long id = Long.parseLong(words[2]);
        forget(id);
        place(id, new Entry(rows, Long.parseLong(words[3]), Long.parseLong(words[4]), null));
        return true;
    }

    private String header() {
        return "leanclip-index " + FORMAT + " " + dim;
    }
}
