namespace PureQLora.Kernels.Tests;

public sealed class UploadRingTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(1000)]      // several times around
    public void Write_GivenAnyLength_ShouldArriveWholeThoughTheSourceChanges(int length)
    {
        using TestDevice test = new();
        using UploadRing ring = new(test.Device, 64);
        DeviceMemory block = test.Block(3 * length);
        byte[] expected = new byte[3 * length];
        byte[] source = new byte[length];
        for (int part = 0; part < 3; part++)
        {
            new Random(part).NextBytes(source);
            source.CopyTo(expected, part * length);
            ring.Write(block, part * length, source);
            Array.Clear(source);
        }

        Assert.Equal(expected, TestDevice.Read<byte>(block));
    }
}
