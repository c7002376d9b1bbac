using MathNet.Numerics.LinearAlgebra;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>The start of an adapter against a dense singular value decomposition in float64.</summary>
public sealed class LowRankErrorTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public static TheoryData<int, int, int, string> Problems => new()
    {
        { 13, 20, 3, "plain" }, { 13, 20, 3, "full" }, { 20, 13, 4, "full" }, { 64, 48, 8, "full" }, { 48, 64, 8, "singular" }, { 1, 9, 2, "full" },
        { 9, 1, 1, "plain" }, { 5, 7, 8, "full" }, { 70, 300, 4, "plain" }, { 300, 70, 6, "full" },
    };

    public void Dispose() => _backend.Dispose();

    [Theory]
    [MemberData(nameof(Problems))]
    public void Fit_GivenAnyNorm_ShouldReachTheOptimum(int rows, int columns, int rank, string norm)
    {
        float[] error = Random(rows * columns, 1, 0.01f);
        double[]? hessian = Hessian(columns, norm);
        LoraAdapter adapter = Adapter(rows, columns, rank, scale: 2f);

        LowRankError.Fit(error, hessian, adapter, _backend, new RandomState(5));

        double[] singular = SingularValues(error, rows, hessian);
        double total = singular.Sum(value => value * value);
        double optimum = singular.Skip(rank).Sum(value => value * value);
        double reached = Loss(error, adapter, hessian);

        // Float32 factors leave 1e-7 of what they represent.
        Assert.InRange(reached, optimum - (1e-9 * total), optimum + (1e-6 * total));
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("full")]
    public void Fit_GivenMoreRowsThanItSpans_ShouldComeNearTheOptimum(string norm)
    {
        (int rows, int columns, int rank) = (700, 350, 4);
        float[] error = Random(rows * columns, 1, 0.01f);
        double[]? hessian = Hessian(columns, norm);
        LoraAdapter adapter = Adapter(rows, columns, rank, scale: 2f);

        LowRankError.Fit(error, hessian, adapter, _backend, new RandomState(5));

        double[] singular = SingularValues(error, rows, hessian);
        double captured = singular.Take(rank).Sum(value => value * value);
        double reached = singular.Sum(value => value * value) - Loss(error, adapter, hessian);
        Assert.InRange(reached, captured * (1 - 1e-5), captured * (1 + 1e-6));
    }

    [Fact]
    public void Fit_GivenAnErrorOfLowerRank_ShouldRemoveItAndLeaveTheRestAsItStarted()
    {
        (int rows, int columns) = (30, 40);
        (float[] u, float[] v) = (Random(rows * 2, 1, 1f), Random(2 * columns, 2, 1f));
        float[] error = new float[rows * columns];
        for (int i = 0; i < error.Length; i++)
        {
            (int row, int column) = (i / columns, i % columns);
            error[i] = (u[row * 2] * v[column]) + (u[(row * 2) + 1] * v[columns + column]);
        }

        LoraAdapter adapter = Adapter(rows, columns, 5, scale: 0.5f);
        float[] before = adapter.A.ToArray();

        LowRankError.Fit(error, Hessian(columns, "full"), adapter, _backend, new RandomState(5));

        LowRankError.Subtract(error, adapter);
        Assert.All(error, value => Assert.InRange(value, -1e-5f, 1e-5f));
        Assert.Equal(before[(2 * columns)..], adapter.A.ToArray()[(2 * columns)..]);
        Assert.All(Enumerable.Range(0, rows * 5).Where(i => i % 5 >= 2), i => Assert.Equal(0f, adapter.B.Floats[i]));
    }

    [Fact]
    public void Fit_GivenNoError_ShouldBeTheStartFromZero()
    {
        LoraAdapter adapter = Adapter(12, 16, 3, scale: 2f);
        float[] before = adapter.A.ToArray();
        LowRankError.Fit(new float[12 * 16], Hessian(16, "full"), adapter, _backend, new RandomState(5));
        Assert.Equal(before, adapter.A.ToArray());
        Assert.All(adapter.B.ToArray(), value => Assert.Equal(0f, value));
    }

    [Theory]
    [InlineData(0.25f)]
    [InlineData(8f)]
    public void Fit_GivenAnotherScale_ShouldMakeTheSameUpdate(float scale)
    {
        float[] error = Random(24 * 32, 1, 0.01f);
        float[][] rest = [.. new[] { 1f, scale }.Select(s =>
        {
            LoraAdapter adapter = Adapter(24, 32, 4, s);
            LowRankError.Fit(error, null, adapter, _backend, new RandomState(5));
            float[] left = [.. error];
            LowRankError.Subtract(left, adapter);
            return left;
        })];
        Assert.All(rest[0].Zip(rest[1]), pair => Assert.Equal(pair.First, pair.Second, 1e-7f));
    }

    [Fact]
    public void Fit_GivenAnotherNumberOfThreads_ShouldBeTheSameToTheBit()
    {
        float[] error = Random(400 * 500, 1, 0.01f);
        double[] hessian = Hessian(500, "full")!;
        float[][] found = [.. new[] { 1, 3 }.Select(threads =>
        {
            using CpuBackend backend = new(threads);
            LoraAdapter adapter = Adapter(400, 500, 4, 2f);
            LowRankError.Fit(error, hessian, adapter, backend, new RandomState(5));
            return (float[])[.. adapter.A.ToArray(), .. adapter.B.ToArray()];
        })];
        Assert.Equal(found[0], found[1]);
    }

    private static LoraAdapter Adapter(int rows, int columns, int rank, float scale) =>
        LoraAdapter.Initialize(rows, columns, rank, scale, 0f, new RandomState(3));

    private static float[] Random(int count, int seed, float size)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => size * ((2 * random.NextSingle()) - 1))];
    }

    /// <summary>2/n · XᵀX of columns that differ widely in size, as real ones do.</summary>
    private static double[]? Hessian(int columns, string norm)
    {
        if (norm == "plain")
        {
            return null;
        }

        int samples = norm == "singular" ? Math.Max(1, columns / 3) : 2 * columns;
        float[] x = Random(samples * columns, 7, 1f);
        Matrix<double> inputs = Matrix<double>.Build.Dense(samples, columns, (i, j) => x[(i * columns) + j] * (1 + (10.0 / (1 + j))));
        return (inputs.TransposeThisAndMultiply(inputs) * (2.0 / samples)).ToRowMajorArray();
    }

    private static double[] SingularValues(float[] error, int rows, double[]? hessian)
    {
        int columns = error.Length / rows;
        Matrix<double> e = Matrix<double>.Build.Dense(rows, columns, (i, j) => error[(i * columns) + j]);
        if (hessian is not null)
        {
            var evd = Matrix<double>.Build.Dense(columns, columns, (i, j) => hessian[(i * columns) + j]).Evd(Symmetricity.Symmetric);
            e = e * evd.EigenVectors * Matrix<double>.Build.DenseOfDiagonalVector(evd.EigenValues.Map(value => Math.Sqrt(Math.Max(0, value.Real))));
        }

        return [.. e.Svd(computeVectors: false).S];
    }

    private static double Loss(float[] error, LoraAdapter adapter, double[]? hessian)
    {
        (int rows, int columns, int rank) = ((int)adapter.B.Shape[0], (int)adapter.A.Shape[1], adapter.Rank);
        Matrix<double> a = Matrix<double>.Build.Dense(rank, columns, (i, j) => adapter.A.Floats[(i * columns) + j]);
        Matrix<double> b = Matrix<double>.Build.Dense(rows, rank, (i, j) => adapter.B.Floats[(i * rank) + j]);
        Matrix<double> rest = Matrix<double>.Build.Dense(rows, columns, (i, j) => error[(i * columns) + j]) - (adapter.Scale * b * a);
        Matrix<double> weighted = hessian is null ? rest : rest * Matrix<double>.Build.Dense(columns, columns, (i, j) => hessian[(i * columns) + j]);
        return weighted.PointwiseMultiply(rest).Enumerate().Sum();
    }
}
