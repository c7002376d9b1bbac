using System.Buffers.Binary;
using System.Globalization;
using Google.Protobuf;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>
/// Writes scalars that TensorBoard shows: one file <c>events.out.tfevents.TIME.HOST.PID.N</c> of TFRecords, each an <c>Event</c> message.
/// A resumed run opens a new file in the same folder; TensorBoard joins them, and a torn last record of the old file harms nothing.
/// </summary>
/// <remarks>
/// Record: length (uint64), masked CRC of the length, data, masked CRC of the data, little-endian (TensorFlow, core/lib/io/record_writer.h).
/// Event: wall_time = 1 (double), step = 2 (int64), file_version = 3 (string), summary = 5; Summary.value = 1 with tag = 1, simple_value = 2
/// (core/util/event.proto, core/framework/summary.proto).
/// </remarks>
public sealed class TensorBoardWriter : IDisposable
{
    private const string FileVersion = "brain.Event:2";

    private readonly FileStream _file;
    private readonly TimeProvider _time;

    /// <summary>Starts a new event file.</summary>
    /// <param name="folder">Log folder; made where absent.</param>
    /// <param name="time">Clock for the file name and the events; null for the machine's.</param>
    /// <exception cref="UserErrorException">The folder cannot be written to.</exception>
    public TensorBoardWriter(string folder, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        try
        {
            Directory.CreateDirectory(folder);
            _file = CreateFile(folder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"Cannot write TensorBoard events to {folder}: {exception.Message} Choose an output folder that can be written to.", exception);
        }

        WriteEvent(0, output =>
        {
            output.WriteTag(3, WireFormat.WireType.LengthDelimited);
            output.WriteString(FileVersion);
        });
        Flush();
    }

    /// <summary>The file.</summary>
    public string Path => _file.Name;

    /// <summary>Writes one number.</summary>
    /// <param name="tag">Name of the curve, for example <c>train/loss</c>.</param>
    /// <param name="step">Optimizer step.</param>
    /// <param name="value">Value; stored as float32.</param>
    public void AddScalar(string tag, long step, double value)
    {
        byte[] point = Message(output =>
        {
            output.WriteTag(1, WireFormat.WireType.LengthDelimited);
            output.WriteString(tag);
            output.WriteTag(2, WireFormat.WireType.Fixed32);
            output.WriteFloat((float)value);
        });
        byte[] summary = Message(output =>
        {
            output.WriteTag(1, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(point));
        });
        WriteEvent(step, output =>
        {
            output.WriteTag(5, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(summary));
        });
    }

    /// <summary>Hands everything written so far to the operating system.</summary>
    public void Flush() => _file.Flush();

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private FileStream CreateFile(string folder)
    {
        long seconds = _time.GetUtcNow().ToUnixTimeSeconds();
        string host = string.Concat(Environment.MachineName.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' ? c : '-'));
        for (int number = 0; ; number++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"events.out.tfevents.{seconds:D10}.{host}.{Environment.ProcessId}.{number}");
            string path = System.IO.Path.Combine(folder, name);
            if (!File.Exists(path))
            {
                return new(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
            }
        }
    }

    private void WriteEvent(long step, Action<CodedOutputStream> writeContent)
    {
        double wallTime = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
        WriteRecord(Message(output =>
        {
            output.WriteTag(1, WireFormat.WireType.Fixed64);
            output.WriteDouble(wallTime);
            if (step != 0)
            {
                output.WriteTag(2, WireFormat.WireType.Varint);
                output.WriteInt64(step);
            }

            writeContent(output);
        }));
    }

    private void WriteRecord(byte[] data)
    {
        byte[] record = new byte[8 + 4 + data.Length + 4];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedCrc32C.Compute(record.AsSpan(0, 8)));
        data.CopyTo(record, 12);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + data.Length), MaskedCrc32C.Compute(data));

        // One write a record, so that a reader never meets half of one in the middle of the file.
        _file.Write(record);
    }

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using MemoryStream buffer = new();
        using (CodedOutputStream output = new(buffer, leaveOpen: true))
        {
            write(output);
        }

        return buffer.ToArray();
    }
}
