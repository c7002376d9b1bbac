namespace PureQLora.Core.Tests;

public abstract class DropoutTests : OpTests
{
    [Theory]
    [InlineData(0.1f)]
    [InlineData(0.5f)]
    [InlineData(0.999f)]
    [InlineData(1e-8f)]
    public void Dropout_GivenEveryLengthTo130_ShouldFollowTheRandomState(float probability)
    {
        for (int length = 0; length <= 130; length++)
        {
            using ComputeScope scope = Record();
            scope.Random = new RandomState(42, 7);
            ulong key = new RandomState(42, 7).NextKey();
            Tensor x = Parameter(new(length), 1);

            Tensor y = Dropout.Forward(scope, x, probability);
            BackwardFromWeightedSum(scope, y);

            float scale = 1f / (1f - probability);
            float[] xs = x.ToArray();
            bool[] kept = [.. Enumerable.Range(0, length).Select(i => RandomState.Uniform(key, i) >= probability)];
            Assert.Equal(xs.Select((v, i) => kept[i] ? v * scale : 0f), y.ToArray());
            Assert.Equal(kept.Select((keep, i) => keep ? (float)Reference.Weight(i) * scale : 0f), x.Grad!.ToArray());
        }
    }

    [Fact]
    public void Dropout_GivenManyElements_ShouldKeepTheRightShareAndTheSameMaskInEveryChunk()
    {
        using ComputeScope scope = Record();
        Tensor x = Tensor.Create(new(100_003));
        x.Floats.Fill(1f);
        Tensor y = Dropout.Forward(scope, x, 0.3f);
        ulong key = new RandomState(0).NextKey();
        float[] values = y.ToArray();
        for (int i = 0; i < values.Length; i++)
        {
            Assert.Equal(RandomState.Uniform(key, i) >= 0.3f, values[i] != 0f);
        }

        // Standard deviation of the share is 0.0014.
        Assert.Equal(0.7, values.Count(v => v != 0f) / 100_003.0, 0.007);
    }

    [Fact]
    public void Dropout_GivenADroppedInfinity_ShouldGiveZero()
    {
        using ComputeScope scope = new(Backend);
        Tensor x = Tensor.Create(new(1000));
        x.Floats.Fill(float.PositiveInfinity);
        float[] y = Dropout.Forward(scope, x, 0.5f).ToArray();
        Assert.DoesNotContain(float.NaN, y);
        Assert.Contains(0f, y);
    }

    [Fact]
    public void Dropout_GivenProbabilityZero_ShouldReturnTheInputAndDrawNoKey()
    {
        using ComputeScope scope = Record();
        Tensor x = Parameter(new(3), 1);
        Assert.Same(x, Dropout.Forward(scope, x, 0f));
        Assert.Equal(0UL, scope.Random.Counter);
    }

    [Theory]
    [InlineData(1f)]
    [InlineData(-0.1f)]
    [InlineData(float.NaN)]
    public void Dropout_GivenAProbabilityThatIsNone_ShouldRefuse(float probability)
    {
        using ComputeScope scope = Record();
        Assert.Throws<ArgumentOutOfRangeException>(() => Dropout.Forward(scope, Constant(new(3), 1), probability));
    }
}

public sealed class CpuDropoutTests : DropoutTests, IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    protected override IBackend Backend => _backend;

    public void Dispose() => _backend.Dispose();
}
