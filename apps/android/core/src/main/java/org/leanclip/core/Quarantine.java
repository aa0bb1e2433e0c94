package org.leanclip.core;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Delegates that must not run a tower file on this phone again, kept over restarts.
 *
 * <p>A trial is written down before it begins: a delegate that takes the whole app down with it
 * is found guilty at the next start.
 */
public final class Quarantine {
    private static final String TRYING = "trying";
    private static final String CRASHED = "took the app down with it";

    private final File file;
    private final String environment;
    private final Map<String, Object> reasons = new LinkedHashMap<>();

    /**
     * Reads what earlier starts found.
     *
     * @param environment what verdicts depend on (system build, versions of app and runtimes); of
     *     another one, they are forgotten
     */
    public Quarantine(File file, String environment) {
        this.file = file;
        this.environment = environment;
        try {
            Map<?, ?> found = (Map<?, ?>) Bundle.parsed(file);
            if (environment.equals(found.get("environment"))) {
                for (Map.Entry<?, ?> entry : ((Map<?, ?>) found.get("reasons")).entrySet()) {
                    boolean crashed = TRYING.equals(entry.getValue());
                    reasons.put((String) entry.getKey(), crashed ? CRASHED : entry.getValue());
                }
            }
        } catch (BundleException | ClassCastException | NullPointerException error) {
            // No file yet, or a damaged one: every delegate gets a new trial.
            reasons.clear();
        }
    }

    /** Why a delegate must not run a file; null if it may. */
    public synchronized String reason(String sha256, String delegate) {
        return (String) reasons.get(key(sha256, delegate));
    }

    /** Notes that a delegate is about to run a file for the first time. */
    public synchronized void begin(String sha256, String delegate) throws IOException {
        reasons.put(key(sha256, delegate), TRYING);
        write();
    }

    /** Notes that it did well. */
    public synchronized void acquit(String sha256, String delegate) throws IOException {
        reasons.remove(key(sha256, delegate));
        write();
    }

    /** Notes that it failed, and why. */
    public synchronized void bar(String sha256, String delegate, String reason)
            throws IOException {
        reasons.put(key(sha256, delegate), reason);
        write();
    }

    private static String key(String sha256, String delegate) {
        return sha256 + " " + delegate;
    }

    private void write() throws IOException {
        Map<String, Object> content = new LinkedHashMap<>();
        content.put("environment", environment);
        content.put("reasons", reasons);
        File temporary = new File(file.getPath() + ".unfinished");
        Files.write(temporary.toPath(), Json.write(content).getBytes(StandardCharsets.UTF_8));
        Files.move(temporary.toPath(), file.toPath(), StandardCopyOption.REPLACE_EXISTING);
    }
}
