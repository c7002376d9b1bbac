namespace PureQLora.Models.Tests;

public sealed class GroupQuantizerTests
{
    private static readonly GptqOptions Exact = new() { Bits = 4, Float16Scales = false };

    [Theory]
    [InlineData(0.5, 8)]
    [InlineData(1.5, 10)]
    [InlineData(2.5, 10)]
    [InlineData(-0.5, 8)]
    [InlineData(-1.5, 6)]
    [InlineData(7.5, 15)]
    [InlineData(-7.5, 0)]
    public void Code_GivenATie_ShouldGoToTheEvenMultiple(double weight, int code)
    {
        var grid = GroupQuantizer.FromWeights([7.5, -1], Exact with { Symmetric = true });

        Assert.Equal(new GroupQuantizer(1, 8, 15), grid);
        Assert.Equal(code, grid.Code(weight));
    }

    [Theory]
    [InlineData(-0.5, 14.5, 0)]
    [InlineData(-1.5, 13.5, 2)]
    [InlineData(-2.5, 12.5, 2)]
    [InlineData(1, 15, 0)]
    [InlineData(-15, -3, 15)]
    public void Grid_GivenAsymmetricWeights_ShouldSpanThemAndZero(double low, double high, int zero) =>
        Assert.Equal(new GroupQuantizer(1, zero, 15), GroupQuantizer.FromWeights([low, high], Exact));

    [Fact]
    public void Grid_GivenOnlyZeros_ShouldSpanOneToEachSideAndKeepThemZero()
    {
        var grid = GroupQuantizer.FromWeights([0, 0, 0], Exact);

        Assert.Equal(2.0 / 15, grid.Scale);
        Assert.Equal(0, grid.Value(grid.Code(0)));
    }

    [Theory]
    [InlineData(1e-20)]
    [InlineData(1e-300)]
    [InlineData(1e9)]
    public void Grid_GivenWeightsBeyondFloat16_ShouldHaveAFiniteScaleAboveZero(double weight)
    {
        var grid = GroupQuantizer.FromWeights([weight], Exact with { Float16Scales = true });

        Assert.InRange(grid.Scale, (double)Half.Epsilon, (double)Half.MaxValue);
        Assert.True(double.IsFinite(grid.Value(grid.Code(weight))));
    }

    [Fact]
    public void Grid_GivenFloat16Scales_ShouldChooseCodesForTheRoundedScale()
    {
        var grid = GroupQuantizer.FromWeights([-0.1, 0.2], Exact with { Float16Scales = true });

        Assert.Equal((double)(Half)(0.3 / 15), grid.Scale);
        Assert.NotEqual(0.3 / 15, grid.Scale);
    }
}
