namespace PureQLora.Core.Tests;

/// <summary>Sums are cut by the problem, never by the number of threads: the same bits for any.</summary>
public sealed class ThreadIndependenceTests
{
    public static TheoryData<string> Operations =>
        ["rmsnorm", "bias", "outer", "factor", "sum all", "sum rows", "sum columns", "mean", "max", "softmax", "logsoftmax", "embedding", "scatter", "dropout", "gelu", "squares"];

    [Theory]
    [MemberData(nameof(Operations))]
    public void Operation_GivenOtherNumbersOfThreads_ShouldGiveTheSameBits(string operation)
    {
        float[] one = Run(operation, 1);
        Assert.Contains(one, v => v != 0f);
        foreach (int threads in new[] { 2, 3, 7 })
        {
            Assert.Equal(one, Run(operation, threads));
        }
    }

    /// <summary>Result and gradients, large enough for several chunks in every direction.</summary>
    private static float[] Run(string operation, int threads)
    {
        using CpuBackend backend = new(threads);
        using ComputeScope scope = new(backend, recordGradients: true);
        Tensor x = Values(new(300, 333), 1).AsParameter();
        Tensor row = Values(new(333), 2).AsParameter();
        Tensor column = Values(new(300, 1), 3).AsParameter();
        Tensor ids = Tensor.From([.. Enumerable.Range(0, 900).Select(i => i * i % 300)], new Shape(900));
        if (operation == "squares")
        {
            return [(float)backend.SumOfSquares(x)];
        }

        Tensor y = operation switch
        {
            "rmsnorm" => RmsNorm.Forward(scope, x, row, 1e-5f),
            "bias" => Binary.Add(scope, x, row),
            "outer" => Binary.Divide(scope, Binary.Multiply(scope, column, x), Binary.AddScalar(scope, Unary.Square(scope, row), 1f)),
            "factor" => Binary.Multiply(scope, x, Reduction.Mean(scope, row)),
            "sum all" => Reduction.Sum(scope, Binary.Add(scope, x, column)),
            "sum rows" => Reduction.Sum(scope, x, 0),
            "sum columns" => Reduction.Sum(scope, x, 1),
            "mean" => Reduction.Mean(scope, Binary.Multiply(scope, x, row)),
            "max" => Reduction.Max(scope, x, 0),
            "softmax" => Softmax.Forward(scope, x),
            "logsoftmax" => LogSoftmax.Forward(scope, x),
            "embedding" => Embedding.Forward(scope, x, ids),
            "scatter" => ScatterAdd.Forward(scope, x, ids, Values(new(900, 333), 4)),
            "dropout" => Dropout.Forward(scope, x, 0.25f),
            _ => Unary.Gelu(scope, x),
        };
        WeightedSumLoss.Backward(scope, y);
        return [.. y.ToArray(), .. x.Grad!.ToArray(), .. row.Grad!.ToArray(), .. column.Grad!.ToArray()];
    }

    private static Tensor Values(Shape shape, int seed)
    {
        Random random = new(seed);
        return Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(_ => random.NextSingle() - 0.5f)], shape);
    }
}
