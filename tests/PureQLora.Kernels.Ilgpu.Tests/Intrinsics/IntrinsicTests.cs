using System.Runtime.InteropServices;
using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>Every intrinsic against plain C#.</summary>
public sealed class IntrinsicTests : IDisposable
{
    private readonly TestDevice _test = new();

    public void Dispose() => _test.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void MultiplyAdd_GivenTilesFromSharedMemory_ShouldBeTheProduct(bool transposed)
    {
        uint[] a = Seeded.Pairs(16 * 8, 1);     // [16, 16]
        uint[] b = Seeded.Pairs(8 * 8, 2);      // [8, 16], or [16, 8] if transposed
        DeviceMemory c = _test.Block(16 * 8 * sizeof(float));

        _test.Device.Launch(
            transposed ? IntrinsicKernels.TransposedProduct : IntrinsicKernels.Product,
            new LaunchShape(1),
            new IntrinsicKernels.ProductArguments(_test.Copy(Chunks(a)), _test.Copy(Chunks(b)), c.View<Float4>(0, 32)));

        float[] actual = TestDevice.Read<float>(c);
        for (int row = 0; row < 16; row++)
        {
            for (int column = 0; column < 8; column++)
            {
                // Where mma.m16n8k16 keeps an element of c: in the thread of its row and pair of columns.
                int place = (((row % 8 * 4) + (column / 2)) * 4) + (row / 8 * 2) + (column % 2);
                double expected = 1 + (row / 8 * 2) + (column % 2);
                for (int k = 0; k < 16; k++)
                {
                    expected += (double)Seeded.Number(a, (row * 16) + k) * Seeded.Number(b, transposed ? (k * 8) + column : (column * 16) + k);
                }

                Assert.Equal(expected, actual[place], 1e-5);
            }
        }
    }

    [Fact]
    public void QuantizedCodes_GivenNibbles_ShouldBeBiasedFloatsInTheirOrder()
    {
        uint[] words = Seeded.Pairs(32, 3);
        DeviceMemory y = _test.Block(32 * 8 * sizeof(float));

        _test.Device.Launch(IntrinsicKernels.Bytes, new LaunchShape(1), new IntrinsicKernels.WordArguments(_test.Copy(words), y.View<Float4>(0, 64)));

        float[] actual = TestDevice.Read<float>(y);
        for (int i = 0; i < 256; i++)
        {
            int nibble = i % 8 < 4 ? 2 * (i % 4) : (2 * (i % 4)) + 1;
            Assert.Equal(8388608f + ((words[i / 8] >> (4 * nibble)) & 15), actual[i]);
        }
    }

    [Fact]
    public void BFloat16Pair_GivenFloats_ShouldRoundAsTheHostDoes()
    {
        float[] x = Seeded.Floats(64, 4);
        (x[0], x[1], x[2], x[3], x[4]) = (0f, -0f, float.PositiveInfinity, float.MaxValue, 1e-40f);
        x[5] = BitConverter.UInt32BitsToSingle(0x3F808000);      // between two numbers: to the even one, down
        x[6] = BitConverter.UInt32BitsToSingle(0x3F818000);      // and up
        x[7] = float.NaN;
        DeviceMemory y = _test.Block(64 * sizeof(float));

        _test.Device.Launch(IntrinsicKernels.Pack, new LaunchShape(1), new IntrinsicKernels.PackArguments(_test.Copy(x), y.View<float>(0, 64)));

        Assert.Equal(Array.ConvertAll(x, BFloat16.Round), TestDevice.Read<float>(y));
    }

    [Fact]
    public void AsyncCopy_GivenTwoGroups_ShouldWaitForEachInTurn()
    {
        uint[] words = Seeded.Pairs(32, 5);
        ulong[] doubles = [.. Seeded.Pairs(32, 6).Select(word => (ulong)word << 20)];
        DeviceMemory y = _test.Block(32 * sizeof(ulong));

        _test.Device.Launch(
            IntrinsicKernels.Copy, new LaunchShape(1), new IntrinsicKernels.CopyArguments(_test.Copy(words), _test.Copy(doubles), y.View<ulong>(0, 32)));

        Assert.Equal([.. words.Zip(doubles, (word, wide) => word + wide).Reverse()], TestDevice.Read<ulong>(y));
    }

    [Fact]
    public void WarpReduction_GivenOneValueAThread_ShouldGiveEveryThreadTheResult()
    {
        float[] x = Seeded.Floats(32, 7);
        DeviceMemory y = _test.Block(64 * sizeof(float));

        _test.Device.Launch(IntrinsicKernels.Reduce, new LaunchShape(1), new IntrinsicKernels.PackArguments(_test.Copy(x), y.View<float>(0, 64)));

        float[] actual = TestDevice.Read<float>(y);
        for (int i = 0; i < 32; i++)
        {
            Assert.Equal(x.Sum(value => (double)value), actual[2 * i], 1e-5);
            Assert.Equal(x.Max(), actual[(2 * i) + 1]);
        }
    }

    private static Word4[] Chunks(uint[] words) => MemoryMarshal.Cast<uint, Word4>(words).ToArray();
}
