namespace PureQLora.Core.Tests;

/// <summary>What a newcomer would write from the general operations alone: a network, a loss, a training loop.</summary>
public sealed class ComposedLossTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public void Dispose() => _backend.Dispose();

    [Fact]
    public void FocalLoss_GivenLogits_ShouldPassTheGradientCheck()
    {
        using ComputeScope scope = new(_backend, recordGradients: true);
        Tensor logits = Tensor.From([.. Enumerable.Range(0, 15).Select(i => MathF.Cos(i * 2.3f) * 2f)], new Shape(5, 3)).AsParameter();
        int[] labels = [0, 2, 1, 1, 2];

        Tensor loss = FocalLoss(scope, logits, OneHot(scope, labels, 3));
        scope.Backward(loss);

        double Expected(double[] x) => Enumerable.Range(0, 5).Average(i =>
        {
            double logProbability = x[(i * 3) + labels[i]] - Math.Log(Enumerable.Range(0, 3).Sum(j => Math.Exp(x[(i * 3) + j])));
            return -Math.Pow(1 - Math.Exp(logProbability), 2) * logProbability;
        });
        Assert.Equal(Expected(Reference.ToDouble(logits)), loss.Floats[0], 1e-6);
        GradientCheck.Matches(logits, Expected);
    }

    [Fact]
    public void TwoLayerNetwork_GivenTheXorProblem_ShouldLearnIt()
    {
        Tensor inputs = Tensor.From([0f, 0f, 0f, 1f, 1f, 0f, 1f, 1f], new Shape(4, 2));
        int[] labels = [0, 1, 1, 0];
        Random random = new(3);
        Tensor[] parameters =
        [
            Weights(random, new(8, 2)), Weights(random, new(8)),
            Weights(random, new(2, 8)), Weights(random, new(2)),
        ];
        Tensor[] first = [.. parameters.Select(p => Tensor.Create(p.Shape))];
        Tensor[] second = [.. parameters.Select(p => Tensor.Create(p.Shape))];
        using ComputeScope scope = new(_backend, recordGradients: true);

        (float start, float end) = (0f, 0f);
        for (int step = 1; step <= 200; step++)
        {
            scope.Reset();
            Tensor hidden = Unary.Gelu(scope, Linear(scope, inputs, parameters[0], parameters[1]));
            Tensor loss = FocalLoss(scope, Linear(scope, hidden, parameters[2], parameters[3]), OneHot(scope, labels, 2));
            scope.Backward(loss);
            end = loss.Floats[0];
            start = step == 1 ? end : start;
            for (int i = 0; i < parameters.Length; i++)
            {
                _backend.AdamWStep(parameters[i], parameters[i].Grad!, first[i], second[i], 0.03, 0.9, 0.999, 1e-8, 0.0, step, 1f);
                _backend.Zero(parameters[i].Grad!);
            }
        }

        Assert.True(start > 0.1f, $"loss {start} before training");
        Assert.True(end < 0.001f, $"loss {end} after training, {start} before");
    }

    /// <summary>x · Wᵀ + b as a broadcast product and a sum.</summary>
    private static Tensor Linear(ComputeScope scope, Tensor x, Tensor weight, Tensor bias)
    {
        Tensor columns = Reshape.Forward(scope, x, new(x.Shape[0], 1, x.Shape[1]));      // [rows, 1, in]
        Tensor products = Binary.Multiply(scope, columns, weight);                       // [rows, out, in]
        return Binary.Add(scope, Reduction.Sum(scope, products, axis: -1), bias);        // [rows, out]
    }

    /// <summary>−mean((1 − p)² · ln p), p the probability of the right class (Lin et al., arXiv:1708.02002, eq. 4).</summary>
    private static Tensor FocalLoss(ComputeScope scope, Tensor logits, Tensor oneHot)
    {
        Tensor logs = Reduction.Sum(scope, Binary.Multiply(scope, LogSoftmax.Forward(scope, logits), oneHot), axis: -1);     // [rows]
        Tensor missing = Binary.Affine(scope, Unary.Exp(scope, logs), -1f, 1f);                                              // 1 − p
        return Unary.Negate(scope, Reduction.Mean(scope, Binary.Multiply(scope, Unary.Square(scope, missing), logs)));
    }

    private static Tensor OneHot(ComputeScope scope, int[] labels, int classes)
    {
        Tensor oneHot = scope.Zeros(new(labels.Length, classes));
        for (int i = 0; i < labels.Length; i++)
        {
            oneHot.Floats[(i * classes) + labels[i]] = 1f;
        }

        return oneHot;
    }

    private static Tensor Weights(Random random, Shape shape) =>
        Tensor.From([.. Enumerable.Range(0, (int)shape.Count).Select(_ => (random.NextSingle() * 2f) - 1f)], shape).AsParameter();
}
