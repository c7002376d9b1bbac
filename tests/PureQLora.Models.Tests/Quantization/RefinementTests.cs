using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Each refinement equals its float64 reference and never raises what it minimises.</summary>
public sealed class RefinementTests
{
    private static readonly CpuBackend Backend = new(threads: 1);

    [Fact]
    public void Search_GivenAnyGroup_ShouldFindTheReferencesGridAndNeverLoseToThePlainOne() => RefinementProblem.Check(200, problem =>
    {
        double[] weights = [.. problem.Weights.Take(problem.Columns).Select(w => (double)w)];
        var random = new Random(problem.Seed);
        double[] importance = [.. weights.Select(_ => random.NextDouble())];

        GroupQuantizer found = GridSearch.Find(weights, importance, problem.Options);

        double Error(double scale, int zero) => weights.Zip(importance, (w, h) => h * Math.Pow(w - new GroupQuantizer(scale, zero, problem.Options.Levels).Value(new GroupQuantizer(scale, zero, problem.Options.Levels).Code(w)), 2)).Sum();
        GroupQuantizer plain = GroupQuantizer.FromWeights(weights, problem.Options);
        (double scale, int zero) = ReferenceRefinement.Grid(weights, importance, problem.Options);
        double error = Error(found.Scale, found.Zero);
        Assert.True(error <= Error(plain.Scale, plain.Zero) * (1 + 1e-12));

        // Of two grids that are equal but for rounding either may be found.
        Assert.InRange(error, Error(scale, zero) * (1 - 1e-9), (Error(scale, zero) * (1 + 1e-9)) + 1e-300);
    });

    [Fact]
    public void Gptq_GivenStaticGroupsAndSearch_ShouldWeighColumnsByTheHessiansDiagonal() => RefinementProblem.Check(60, problem =>
    {
        GptqOptions options = problem.Options with { StaticGroups = true, Float16Scales = true };
        double[] hessian = problem.Hessian;
        QuantizationResult result = GptqQuantizer.Quantize(problem.Weights, problem.Rows, hessian, options, "layer");
        for (int group = 0; group < result.Groups; group++)
        {
            int[] members = [.. Enumerable.Range(0, problem.Columns).Where(j => result.GroupOf(j) == group)];
            double[] importance = [.. members.Select(j => hessian[(j * problem.Columns) + j])];
            double[] weights = [.. members.Select(j => importance[Array.IndexOf(members, j)] == 0 ? 0 : (double)problem.Weights[j])];
            (double scale, int zero) = ReferenceRefinement.Grid(weights, importance, options);
            Assert.Equal((scale, zero), (result.Scales[group], result.Zeros[group]));
        }
    });

    [Fact]
    public void Target_GivenAnyProblem_ShouldEqualTheReferenceAndNotRaiseItsObjective() => RefinementProblem.Check(40, problem =>
    {
        double strength = 0.25 * (1 + (problem.Seed % 4));
        HessianFactor factor = HessianFactor.Create(problem.Hessian, problem.Columns, problem.Options, "layer");
        float[] target = [.. problem.Weights];

        CalibrationTarget.Apply(target, problem.Rows, problem.Deviation(Backend), factor, strength, Backend);

        double[] expected = ReferenceRefinement.Target(problem.Weights, problem.ExactInputs, problem.Inputs, problem.Columns, problem.Options.Damping, strength);
        for (int i = 0; i < expected.Length; i++)
        {
            // Float32 sums of the Hessian and of the deviation, divided by eigenvalues of a hundredth of the mean.
            Assert.Equal(expected[i], target[i], 2e-5);
        }

        Assert.InRange(Regression(problem, target, factor.Ridge), 0, Regression(problem, problem.Weights, factor.Ridge) * (1 + 1e-6));
    });

    [Fact]
    public void Target_GivenManyRowsAndColumns_ShouldEqualTheReferenceOnAnyThreads()
    {
        RefinementProblem problem = new(150, 157, 3, HasDeadColumns: true, new GptqOptions { ActOrder = true });
        HessianFactor factor = HessianFactor.Create(problem.Hessian, problem.Columns, problem.Options, "layer");
        float[] single = [.. problem.Weights];
        CalibrationTarget.Apply(single, problem.Rows, problem.Deviation(Backend), factor, 0.5, Backend);
        using CpuBackend threads = new(threads: 3);
        float[] several = [.. problem.Weights];
        CalibrationTarget.Apply(several, problem.Rows, problem.Deviation(threads), factor, 0.5, threads);

        Assert.Equal(single, several);
        double[] expected = ReferenceRefinement.Target(problem.Weights, problem.ExactInputs, problem.Inputs, problem.Columns, problem.Options.Damping, 0.5);
        Assert.InRange(expected.Zip(single, (e, a) => Math.Abs(e - a)).Max(), 0, 1e-5);
        Assert.InRange(expected.Zip(problem.Weights, (e, w) => Math.Abs(e - w)).Max(), 1e-3, 1);
    }

    [Fact]
    public void Strength_GivenMoreText_ShouldRiseTowardsOneAndFallWithTheInputs()
    {
        Assert.Equal(0, CalibrationTarget.Strength(0, 192));
        Assert.InRange(CalibrationTarget.Strength(16_384, 192), 0.4, 0.75);
        Assert.InRange(CalibrationTarget.Strength(65_536, 192), 0.75, 1);
        Assert.True(CalibrationTarget.Strength(65_536, 4096) < CalibrationTarget.Strength(65_536, 2048));
        Assert.InRange(CalibrationTarget.Strength(long.MaxValue, 8192), 0.999, 1);
    }

    [Fact]
    public void Descent_GivenAnyProblem_ShouldNeverRaiseItsObjectiveAndReportItsLoss() => RefinementProblem.Check(200, problem =>
    {
        (QuantizationResult start, QuantizationResult result, double ridge) = Descend(problem, Backend);

        double before = problem.Objective(problem.Weights, start, ridge);
        double after = problem.Objective(problem.Weights, result, ridge);
        Assert.True(after <= (before * (1 + 1e-12)) + 1e-18, $"{before} → {after}");
        Assert.All(result.Codes, code => Assert.InRange(code, 0, problem.Options.Levels));
        Assert.All(result.Scales, scale => Assert.True(scale > 0 && (!problem.Options.Float16Scales || scale == (float)(Half)scale)));

        // GPTQ's own loss is of scales in float64 where they are not rounded to float16.
        Assert.Equal(problem.Objective(problem.Weights, result, 0), result.ProxyLoss, (1e-5 * before) + 1e-14);
    });

    [Theory]
    [InlineData(4, 16, false, false, false)]
    [InlineData(3, 5, true, true, false)]
    [InlineData(2, -1, false, true, false)]
    [InlineData(2, 8, false, true, true)]
    [InlineData(8, 16, true, false, false)]
    public void Descent_GivenAProblem_ShouldEqualTheReference(int bits, int groupSize, bool symmetric, bool actOrder, bool staticGroups)
    {
        GptqOptions options = new() { Bits = bits, GroupSize = groupSize, Symmetric = symmetric, ActOrder = actOrder, StaticGroups = staticGroups };
        RefinementProblem problem = new(6, 43, bits, HasDeadColumns: true, options);
        (QuantizationResult expected, QuantizationResult result, double ridge) = Descend(problem, Backend);
        byte[] start = [.. expected.Codes];

        ReferenceRefinement.Descend(problem.Weights, expected, problem.Hessian, ridge);

        Assert.Equal(expected.Codes, result.Codes);
        Assert.Equal(expected.Scales, result.Scales);
        Assert.NotEqual(start, result.Codes);
    }

    [Theory]
    [InlineData(32, false)]
    [InlineData(48, true)]
    [InlineData(-1, false)]
    public void Descent_GivenAnyNumberOfThreadsAndAnyVectors_ShouldHaveTheSameBits(int groupSize, bool actOrder)
    {
        RefinementProblem problem = new(200, 300, 5, HasDeadColumns: false, new GptqOptions { Bits = 3, GroupSize = groupSize, ActOrder = actOrder });
        QuantizationResult expected = Descend(problem, Backend).Result;
        foreach (CpuTier tier in new[] { CpuTier.Vector128, CpuTier.Avx2, CpuTier.Avx512 }.Where(tier => tier <= CpuBackend.SupportedTier))
        {
            using CpuBackend backend = new(threads: 3, tier);
            QuantizationResult actual = Descend(problem, backend).Result;
            Assert.Equal(expected.Codes, actual.Codes);
            Assert.Equal(expected.Scales, actual.Scales);
            Assert.Equal(expected.ProxyLoss, actual.ProxyLoss);
        }
    }

    private static (QuantizationResult Start, QuantizationResult Result, double Ridge) Descend(RefinementProblem problem, CpuBackend backend)
    {
        double[] hessian = problem.Hessian;
        HessianFactor factor = HessianFactor.Create(hessian, problem.Columns, problem.Options, "layer", backend);
        QuantizationResult nearest = GptqQuantizer.RoundToNearest(problem.Weights, problem.Rows, hessian, problem.Options, "layer", backend);
        QuantizationResult start = GptqQuantizer.Quantize(problem.Weights, nearest, factor, backend);
        QuantizationResult copy = start with { Codes = [.. start.Codes], Scales = [.. start.Scales] };
        double[] turned = [.. hessian];
        if (CodeDescent.PlacesOf(copy) is { } columnAt)
        {
            for (int i = 0; i < turned.Length; i++)
            {
                turned[i] = hessian[(columnAt[i / problem.Columns] * problem.Columns) + columnAt[i % problem.Columns]];
            }
        }

        return (start, CodeDescent.Run(problem.Weights, copy, turned, factor, backend), 0.1 * factor.Ridge);
    }

    /// <summary>Σ (T·x − W·x̃)² · 2/n + ridge · Σ (T − W)², what the full target minimises; with dead columns ridged by one more.</summary>
    private static double Regression(RefinementProblem problem, float[] target, double ridge)
    {
        int n = problem.Columns;
        double sum = 0;
        for (int row = 0; row < problem.Rows; row++)
        {
            for (int token = 0; token < problem.Tokens; token++)
            {
                double difference = Enumerable.Range(0, n).Sum(j =>
                    ((double)target[(row * n) + j] * problem.Inputs[(token * n) + j]) - ((double)problem.Weights[(row * n) + j] * problem.ExactInputs[(token * n) + j]));
                sum += 2.0 / problem.Tokens * difference * difference;
            }

            sum += ridge * Enumerable.Range(0, n).Sum(j => Math.Pow((double)target[(row * n) + j] - problem.Weights[(row * n) + j], 2));
        }

        return sum;
    }
}
