namespace PureQLora.Models.Tests;

/// <summary>Passes writes on until the disk is full.</summary>
internal sealed class FullDiskStream(Stream inner, long capacity) : Stream
{
    private long _free = capacity;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => inner.Length;

    public override long Position { get => inner.Position; set => throw new NotSupportedException(); }

    public override void Write(byte[] buffer, int offset, int count)
    {
        int fits = (int)Math.Min(_free, count);
        inner.Write(buffer, offset, fits);
        _free -= fits;
        if (fits < count)
        {
            throw new IOException("No space left on device");
        }
    }

    public override void Flush() => inner.Flush();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
