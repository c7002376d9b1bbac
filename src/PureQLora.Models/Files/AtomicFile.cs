using System.Security.Cryptography;
using System.Text;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Writes a file so that its name always stands for a whole file: the bytes go to a temporary name in the same folder, are flushed to
/// disk, and only then take the name. Whatever fails before that (disk full, an exception, cancellation) deletes the temporary file and
/// leaves the old one as it was; a killed process leaves at most a file that ends in <c>.tmp</c>.
/// </summary>
/// <remarks>
/// The folder entry itself is not flushed, because .NET offers no portable way; after a power cut the name stands for the old file or
/// the new one, never for a part.
/// </remarks>
public static class AtomicFile
{
    private const int BufferSize = 1 << 16;

    /// <summary>Writes what <paramref name="write"/> puts into the stream. Missing folders are created.</summary>
    /// <param name="path">The file's final name.</param>
    /// <param name="write">Writes the contents; its exceptions are passed on, save those of the disk.</param>
    /// <exception cref="UserErrorException">The disk is full, or the place cannot be written.</exception>
    public static void Write(string path, Action<Stream> write) => Write(path, write, static stream => stream);

    /// <summary>Writes the bytes.</summary>
    /// <inheritdoc cref="Write(string, Action{Stream})"/>
    /// <param name="path">The file's final name.</param>
    /// <param name="bytes">The whole contents.</param>
    public static void WriteBytes(string path, ReadOnlyMemory<byte> bytes) => Write(path, stream => stream.Write(bytes.Span));

    /// <summary>Writes the text as UTF-8 without a byte-order mark.</summary>
    /// <inheritdoc cref="Write(string, Action{Stream})"/>
    /// <param name="path">The file's final name.</param>
    /// <param name="text">The whole contents.</param>
    public static void WriteText(string path, string text) => WriteBytes(path, Encoding.UTF8.GetBytes(text));

    /// <summary>The same with a stream around the file's, through which tests let the disk fill up.</summary>
    internal static void Write(string path, Action<Stream> write, Func<Stream, Stream> wrap)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);
        string target = Path.GetFullPath(path);
        string temporary = $"{target}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6))}.tmp";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            WriteAndFlush(temporary, write, wrap);
            File.Move(temporary, target, overwrite: true);
        }
        catch (Exception exception)
        {
            Delete(temporary);
            if (IsOfTheDisk(exception))
            {
                throw new UserErrorException(
                    $"{path} could not be written ({exception.Message}); whatever had that name before is unchanged. Free space or choose another place, then run it again.",
                    exception);
            }

            throw;
        }
    }

    // .NET reports a file beyond what the file system or a limit allows (EFBIG) as a bad argument of FileStream's.
    private static bool IsOfTheDisk(Exception exception) =>
        exception is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException { ParamName: "value" };

    private static void WriteAndFlush(string temporary, Action<Stream> write, Func<Stream, Stream> wrap)
    {
        using FileStream file = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, BufferSize);
        Stream stream = wrap(file);
        write(stream);
        stream.Flush();
        file.Flush(flushToDisk: true);
    }

    private static void Delete(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The first failure is the one worth reporting.
        }
    }
}
