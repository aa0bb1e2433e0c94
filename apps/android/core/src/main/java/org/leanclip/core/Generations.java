package org.leanclip.core;

import java.io.File;
import java.io.IOException;

/** Folders of which the newest whole one counts; a new one appears by renaming, or not at all. */
final class Generations {
    private static final String PREFIX = "generation-";
    private static final String UNFINISHED = ".unfinished";

    private final File folder;
    private int newest;

    /** Finds the newest, makes it where there is none, and drops older and unfinished ones. */
    Generations(File folder) throws IOException {
        this.folder = folder;
        makeFolder(folder);
        for (String name : names()) {
            if (name.matches(PREFIX + "[0-9]{1,9}")) {
                newest = Math.max(newest, Integer.parseInt(name.substring(PREFIX.length())));
            }
        }
        makeFolder(current());
        dropOthers();
    }

    File current() {
        return new File(folder, PREFIX + newest);
    }

    /** An empty folder for the next generation. */
    File begin() throws IOException {
        File next = new File(folder, PREFIX + (newest + 1) + UNFINISHED);
        delete(next);
        makeFolder(next);
        return next;
    }

    /** Makes what {@link #begin} returned the current generation. */
    void finish(File next) throws IOException {
        if (!next.renameTo(new File(folder, PREFIX + (newest + 1)))) {
            throw new IOException(next + " cannot be renamed");
        }
        newest++;
        dropOthers();
    }

    private void dropOthers() {
        for (String name : names()) {
            if (name.startsWith(PREFIX) && !name.equals(PREFIX + newest)) {
                delete(new File(folder, name));
            }
        }
    }

    private String[] names() {
        String[] names = folder.list();
        return names == null ? new String[0] : names;
    }

    private static void makeFolder(File folder) throws IOException {
        if (!folder.isDirectory() && !folder.mkdirs()) {
            throw new IOException(folder + " cannot be made");
        }
    }

    private static void delete(File file) {
        File[] inside = file.listFiles();
        if (inside != null) {
            for (File one : inside) {
                delete(one);
            }
        }
        // What cannot be deleted now is tried again at the next start.
        file.delete();
    }
}
