package org.leanclip.core;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** The first tower file and delegate that pass the golden test, best candidates first. */
public final class TowerChoice {
    /** The delegate that is never quarantined, since there is nothing else to fall back to. */
    public static final String CPU = "CPU";

    /** A tower that is loaded. */
    public interface Loaded extends GoldenCheck.Tower, Closeable {
        @Override
        void close();
    }

    /** The runtimes of the platform. */
    public interface Runtimes {
        /** Delegates for a format, the most wanted first; the last one is {@link #CPU}. */
        List<String> delegates(String format);

        Loaded load(TowerFile file, File path, String delegate) throws Exception;
    }

    /** Runs the golden test on a loaded tower. */
    public interface Check {
        GoldenCheck of(TowerFile file, GoldenCheck.Tower tower) throws Exception;
    }

    public final TowerFile file;
    public final String delegate;
    public final Loaded tower;
    public final GoldenCheck golden;
    /** What was tried before and failed, one line each. */
    public final List<String> failures;

    private TowerChoice(
            TowerFile file,
            String delegate,
            Loaded tower,
            GoldenCheck golden,
            List<String> failures) {
        this.file = file;
        this.delegate = delegate;
        this.tower = tower;
        this.golden = golden;
        this.failures = failures;
    }

    /**
     * Tries candidates until one passes.
     *
     * @throws BundleException a file is damaged, or none passed.
     */
    public static TowerChoice of(
            Bundle bundle,
            List<TowerFile> candidates,
            Runtimes runtimes,
            Check check,
            Quarantine quarantine)
            throws IOException {
        List<String> failures = new ArrayList<>();
        for (TowerFile file : candidates) {
            File path = bundle.checked(file);
            for (String delegate : runtimes.delegates(file.format)) {
                String barred = quarantine.reason(file.sha256, delegate);
                if (barred != null && !delegate.equals(CPU)) {
                    failures.add(file.file + " on " + delegate + " is quarantined: " + barred);
                    continue;
                }
                quarantine.begin(file.sha256, delegate);
                try {
                    Loaded tower = runtimes.load(file, path, delegate);
                    GoldenCheck golden = checked(check, file, tower);
                    if (golden.passed()) {
                        quarantine.acquit(file.sha256, delegate);
                        return new TowerChoice(file, delegate, tower, golden, failures);
                    }
                    tower.close();
                    throw new BundleException("golden test: " + golden.failures.get(0));
                } catch (Exception | LinkageError error) {
                    quarantine.bar(file.sha256, delegate, String.valueOf(error.getMessage()));
                    failures.add(file.file + " on " + delegate + ": " + error.getMessage());
                }
            }
        }
        throw new BundleException(
                "no " + candidates.get(0).tower + " tower of " + bundle.name
                        + " passes its golden test here; the last failure: "
                        + failures.get(failures.size() - 1));
    }

    private static GoldenCheck checked(Check check, TowerFile file, Loaded tower)
            throws Exception {
        try {
            return check.of(file, tower);
        } catch (Exception error) {
            tower.close();
            throw error;
        }
    }
}
