namespace PureQLora.Models.Tests;

/// <summary>
/// The float64 reference of the shared golden values (numpy). Tolerances are the README's: 99.9 % of the codes and 0.1 % of the loss for
/// asymmetric grids, 99 % and 1 % for symmetric ones, whose largest weight lies exactly on a tie.
/// </summary>
public sealed class GptqGoldenTests
{
    public static TheoryData<string, GridVariant> Cases => GptqCase.All();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gptq_GivenGoldenCase_ShouldEqualTheReference(string name, GridVariant variant)
    {
        var golden = new GptqCase(name, variant);

        QuantizationResult result = GptqQuantizer.Quantize(golden.Weights, golden.Rows, golden.Hessian, golden.Options, name);

        double tolerance = golden.Options.Symmetric ? 1e-2 : 1e-3;
        Assert.InRange(golden.Agreement(golden.Codes, result.Codes), 1 - tolerance, 1);
        int[] groups = golden.Expected.Ints("g_idx");
        double expectedLoss = golden.LossOf(golden.Codes, golden.Scales, golden.Zeros, column => groups[column]);
        double loss = golden.LossOf(result.Codes, Array.ConvertAll(result.Scales, scale => (double)scale), result.Zeros, result.GroupOf);
        Assert.InRange(loss / expectedLoss, 1 - tolerance, 1 + tolerance);
        AssertSameGrids(golden, result, 1 - tolerance);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gptq_GivenGoldenCase_ShouldReportItsLossesOrderAndDamping(string name, GridVariant variant)
    {
        var golden = new GptqCase(name, variant);

        QuantizationResult result = GptqQuantizer.Quantize(golden.Weights, golden.Rows, golden.Hessian, golden.Options, name);

        if (golden.UndecidedRow is null)
        {
            double tolerance = golden.Options.Symmetric ? 1e-2 : 1e-3;
            Assert.InRange(result.ProxyLoss / golden.Loss, 1 - tolerance, 1 + tolerance);
            Assert.InRange(result.RoundToNearestLoss / golden.NearestLoss, 1 - tolerance, 1 + tolerance);
        }

        Assert.Equal(golden.Expected.Ints("g_idx"), Enumerable.Range(0, golden.Columns).Select(result.GroupOf));
        Assert.Equal(golden.Expected.Contains("perm") ? golden.Expected.Ints("perm") : null, result.Order);
        Assert.Equal(golden.Options.ActOrder && !golden.Options.StaticGroups, result.GroupIndex is not null);
        Assert.Equal(0.01, result.Damping);
        Assert.Null(result.Warning);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void RoundToNearest_GivenGoldenCase_ShouldEqualTheReference(string name, GridVariant variant)
    {
        var golden = new GptqCase(name, variant);

        QuantizationResult result = RoundToNearestQuantizer.Quantize(golden.Weights, golden.Rows, golden.Options, name);

        double agreement = golden.Agreement(golden.Expected.Bytes("rtn_codes"), result.Codes);
        Assert.InRange(agreement, golden.Options.Symmetric ? 0.99 : 0.999, 1);
    }

    [Fact]
    public void Gptq_GivenADeadColumn_ShouldMakeItZeroAndTakeItOutOfTheGrid()
    {
        const int Columns = 32;
        var random = new Random(5);
        float[] weights = [.. Enumerable.Range(0, 4 * Columns).Select(_ => (random.NextSingle() - 0.5f) / 10)];
        float[] inputs = [.. Enumerable.Range(0, 64 * Columns).Select(_ => random.NextSingle() - 0.5f)];
        for (int row = 0; row < 64; row++)
        {
            inputs[(row * Columns) + 7] = 0;
        }

        weights[7] = 100; // would blow up its row's grid
        var accumulator = new HessianAccumulator(Columns, "layer");
        accumulator.Add(inputs, 64);

        QuantizationResult result = GptqQuantizer.Quantize(weights, 4, accumulator.Complete(), new GptqOptions { GroupSize = -1 }, "layer");

        Assert.Equal(0, result.Dequantize()[7]);
        Assert.InRange(result.Scales[0], 0, 0.01f);
    }

    /// <summary>Scales are float32 here and float64 there: 1e-6 is a few float32 roundings.</summary>
    private static void AssertSameGrids(GptqCase golden, QuantizationResult result, double share)
    {
        double[] scales = golden.Scales;
        byte[] zeros = golden.Zeros;
        int counted = 0;
        int equal = 0;
        for (int i = 0; i < scales.Length; i++)
        {
            if (i / result.Groups != golden.UndecidedRow)
            {
                counted++;
                equal += Math.Abs((result.Scales[i] / scales[i]) - 1) < 1e-6 && result.Zeros[i] == zeros[i] ? 1 : 0;
            }
        }

        Assert.InRange((double)equal / counted, share, 1);
    }
}
