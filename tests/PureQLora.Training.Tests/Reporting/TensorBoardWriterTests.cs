using System.Buffers.Binary;
using Google.Protobuf;
using PureQLora.Core;

namespace PureQLora.Training.Tests;

public sealed class TensorBoardWriterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tensorboard").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // RFC 3720, appendix B.4, and the check value of CRC-32C.
    [Fact]
    public void Crc_GivenThePublishedVectors_ShouldEqualThem()
    {
        Assert.Equal(0xe3069283u, MaskedCrc32C.Crc("123456789"u8));
        Assert.Equal(0x8a9136aau, MaskedCrc32C.Crc(new byte[32]));
        Assert.Equal(0x62a8ab43u, MaskedCrc32C.Crc(Enumerable.Repeat((byte)0xff, 32).ToArray()));
        Assert.Equal(0x46dd794eu, MaskedCrc32C.Crc(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()));
        Assert.Equal(0u, MaskedCrc32C.Crc([]));
        Assert.Equal(0xa282ead8u, MaskedCrc32C.Compute([]));
    }

    [Fact]
    public void AddScalar_GivenValues_ShouldWriteRecordsWithTheRightChecksums()
    {
        string path;
        using (TensorBoardWriter writer = new(_folder))
        {
            writer.AddScalar("train/loss", 0, 2.5);
            writer.AddScalar("train/loss", 1, double.NaN);
            writer.AddScalar("lr", 4_000_000_000, 2e-4);
            path = writer.Path;
        }

        Assert.Matches(@"^events\.out\.tfevents\.\d{10}\.[A-Za-z0-9.-]+\.\d+\.0$", Path.GetFileName(path));
        Event[] events = [.. Read(File.ReadAllBytes(path))];
        Assert.Equal(new Event(0, "brain.Event:2", null, 0), events[0] with { WallTime = 0 });
        Assert.Equal([("train/loss", 0L, 2.5f), ("train/loss", 1L, float.NaN), ("lr", 4_000_000_000L, 2e-4f)], events[1..].Select(e => (e.Tag!, e.Step, e.Value)));
        Assert.All(events, e => Assert.InRange(e.WallTime, 1.7e9, 1e11));
    }

    [Fact]
    public void Constructor_GivenAResumedRun_ShouldOpenAnotherFileAndLeaveTheFirst()
    {
        TimeProvider frozen = new FrozenClock();
        using TensorBoardWriter first = new(_folder, frozen);
        first.AddScalar("loss", 1, 1);
        first.Flush();
        byte[] before = ReadShared(first.Path);
        using TensorBoardWriter second = new(_folder, frozen);
        second.AddScalar("loss", 2, 2);
        Assert.NotEqual(first.Path, second.Path);
        Assert.Equal(before, ReadShared(first.Path));
    }

    [Fact]
    public void Constructor_GivenAFileInPlaceOfTheFolder_ShouldSayWhere()
    {
        string file = Path.Combine(_folder, "taken");
        File.WriteAllText(file, "");
        Assert.Contains(file, Assert.Throws<UserErrorException>(() => new TensorBoardWriter(file)).Message, StringComparison.Ordinal);
    }

    private static byte[] ReadShared(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] content = new byte[file.Length];
        file.ReadExactly(content);
        return content;
    }

    /// <summary>An independent reader: checksums bit by bit, messages by field number.</summary>
    private static IEnumerable<Event> Read(byte[] file)
    {
        for (int at = 0; at < file.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at));
            Assert.Equal(Masked(file.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)));
            Assert.Equal(Masked(file.AsSpan(at + 12, length)), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)));
            yield return ReadEvent(file.AsSpan(at + 12, length).ToArray());
            at += 16 + length;
        }
    }

    private static Event ReadEvent(byte[] data)
    {
        Event result = new(0, null, null, 0);
        CodedInputStream input = new(data);
        for (uint tag; (tag = input.ReadTag()) != 0;)
        {
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 1: result = result with { WallTime = input.ReadDouble() }; break;
                case 2: result = result with { Step = input.ReadInt64() }; break;
                case 3: result = result with { Version = input.ReadString() }; break;
                case 5:
                    CodedInputStream summary = input.ReadBytes().CreateCodedInput();
                    Assert.Equal(WireFormat.MakeTag(1, WireFormat.WireType.LengthDelimited), summary.ReadTag());
                    CodedInputStream value = summary.ReadBytes().CreateCodedInput();
                    Assert.Equal(WireFormat.MakeTag(1, WireFormat.WireType.LengthDelimited), value.ReadTag());
                    result = result with { Tag = value.ReadString() };
                    Assert.Equal(WireFormat.MakeTag(2, WireFormat.WireType.Fixed32), value.ReadTag());
                    result = result with { Value = value.ReadFloat() };
                    Assert.True(value.IsAtEnd && summary.IsAtEnd);
                    break;
                default: Assert.Fail($"Unknown tag {tag}."); break;
            }
        }

        return result;
    }

    private static uint Masked(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0x82f63b78;
            }
        }

        crc = ~crc;
        return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
    }

    private sealed record Event(double WallTime, string? Version, string? Tag, float Value)
    {
        public long Step { get; init; }
    }

    private sealed class FrozenClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
    }
}
