package org.leanclip.core;

/** A bundle is missing, damaged or of a newer format; the message is one line for the user. */
public final class BundleException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public BundleException(String message) {
        super(message);
    }

    public BundleException(String message, Throwable cause) {
        super(message, cause);
    }
}
