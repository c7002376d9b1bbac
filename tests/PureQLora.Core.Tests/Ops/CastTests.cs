namespace PureQLora.Core.Tests;

public abstract class CastTests : OpTests
{
    /// <summary>Whether a NaN keeps the bits that say which.</summary>
    protected virtual bool KeepsPayloads => true;

    [Fact]
    public void Cast_GivenEveryLengthTo130_ShouldRoundToNearestEven()
    {
        uint[] patterns =
        [
            0, 0x80000000, 0x3F800000, 0x3F807FFF, 0x3F808000, 0x3F808001, 0x3F818000, 0x3F817FFF, 0xBF808000, 0xBF818000,     // ties both ways
            0x7F800000, 0xFF800000, 0x7F7FFFFF, 0x7F7F8000, 0x7F7F7FFF, 0x7F800001, 0x7FC00000, 0xFFFFFFFF, 1, 0x8000, 0x8001, 0x18000,
        ];
        for (int length = 0; length <= 130; length++)
        {
            using ComputeScope scope = new(Backend);
            float[] xs = [.. Enumerable.Range(0, length).Select(i => BitConverter.UInt32BitsToSingle(patterns[(i + length) % patterns.Length]))];
            Tensor y = Cast.Forward(scope, Tensor.From(xs, new Shape(length)), DataType.BFloat16);
            byte[] bytes = new byte[2 * length];
            y.Storage.Read(y.ByteOffset, bytes);
            for (int i = 0; i < length; i++)
            {
                ushort bits = BitConverter.ToUInt16(bytes, 2 * i);
                if (float.IsNaN(xs[i]) && !KeepsPayloads)
                {
                    Assert.True(float.IsNaN(BitConverter.UInt32BitsToSingle((uint)bits << 16)));
                    continue;
                }

                Assert.Equal(((BFloat16)xs[i]).Bits, bits);
            }

            float[] back = Cast.Forward(scope, y, DataType.Float32).ToArray();
            Assert.Equal(Array.ConvertAll(xs, BFloat16.Round), back);
        }
    }

    [Fact]
    public void Cast_GivenEveryHalf_ShouldWidenExactly()
    {
        using ComputeScope scope = new(Backend);
        Tensor x = Tensor.Create(new(1 << 16), DataType.Float16);
        x.Storage.Write(0, [.. Enumerable.Range(0, 1 << 16).SelectMany(i => BitConverter.GetBytes((ushort)i))]);
        Assert.Equal(x.ToArray(), Cast.Forward(scope, x, DataType.Float32).ToArray());
    }

    [Fact]
    public void Cast_GivenABFloat16Activation_ShouldPassAFloat32Gradient()
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(3, 11), 1);
        Tensor narrow = Cast.Forward(scope, x, DataType.BFloat16);
        BackwardFromWeightedSum(scope, Cast.Forward(scope, narrow, DataType.Float32));
        Assert.Equal(DataType.Float32, narrow.Grad!.DataType);
        Assert.Equal(Enumerable.Range(0, 33).Select(i => (float)Reference.Weight(i)), x.Grad!.ToArray());
    }

    [Fact]
    public void Cast_GivenTheSameOrAnImpossibleType_ShouldReturnItselfOrRefuse()
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(3), 1);
        Assert.Same(x, Cast.Forward(scope, x, DataType.Float32));
        Assert.Throws<ArgumentException>(() => Cast.Forward(scope, x, DataType.Int32));
        Assert.Throws<ArgumentException>(() => Cast.Forward(scope, x, DataType.Float16));
        Assert.Throws<ArgumentException>(() => Cast.Forward(scope, Tensor.From([1], new Shape(1)), DataType.Float32));
    }
}

public sealed class CpuCastTests : CastTests, IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    protected override IBackend Backend => _backend;

    public void Dispose() => _backend.Dispose();
}
