using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// How strongly the model's loss answers to errors in the outputs of its linear layers: for each output feature r the mean square
/// f_r = E[g_r²] of the gradient of the summed loss with respect to it, a diagonal of the Fisher information. A mean squared error e_r² of that
/// feature then raises the loss of a token by about ½ · f_r · e_r².
/// </summary>
/// <remarks>
/// The gradient of a bias is the sum of g over a sample's tokens; near a trained optimum these have mean zero and hardly depend on each
/// other, so its square over the number of tokens estimates f. One backward pass a sample measures all layers at once.
/// </remarks>
internal static class OutputSensitivity
{
    private const int MostSamples = 32;

    /// <summary>Measures f of the chosen layers.</summary>
    /// <param name="model">Dense or quantised.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="samples">Token ids; the first 32 of at least two tokens are used.</param>
    /// <param name="layers">Layers of the model.</param>
    /// <param name="precision">Of the products.</param>
    /// <param name="cancellationToken">Checked between samples.</param>
    /// <returns>By layer. [outDim]</returns>
    public static Dictionary<LinearLayer, double[]> Measure(
        LlamaModel model, IBackend backend, IReadOnlyList<int[]> samples, IReadOnlyCollection<LinearLayer> layers, Precision precision, CancellationToken cancellationToken)
    {
        Dictionary<LinearLayer, double[]> sums = layers.ToDictionary(layer => layer, layer => new double[layer.Weight.OutDim]);
        Dictionary<LinearLayer, Tensor?> before = layers.ToDictionary(layer => layer, layer => layer.Bias);
        long tokens = 0;
        try
        {
            foreach (LinearLayer layer in layers)
            {
                float[] bias = layer.Bias?.ToArray() ?? new float[layer.Weight.OutDim];
                layer.ReplaceBias(Tensor.From(bias, new Shape(bias.Length)).AsParameter());
            }

            using Arena arena = new(backend);
            foreach (int[] sample in samples.Where(sample => sample.Length > 1).Take(MostSamples))
            {
                cancellationToken.ThrowIfCancellationRequested();
                Backward(model, arena, sample, precision);
                tokens += sample.Length - 1;
                foreach ((LinearLayer layer, double[] sum) in sums)
                {
                    Span<float> gradient = layer.Bias!.Grad!.Floats;
                    for (int i = 0; i < sum.Length; i++)
                    {
                        sum[i] += (double)gradient[i] * gradient[i];
                    }

                    gradient.Clear();
                }
            }
        }
        finally
        {
            foreach ((LinearLayer layer, Tensor? bias) in before)
            {
                layer.ReplaceBias(bias);
            }
        }

        foreach (double[] sum in sums.Values)
        {
            System.Numerics.Tensors.TensorPrimitives.Divide(sum, Math.Max(tokens, 1), sum);
        }

        return sums;
    }

    private static void Backward(LlamaModel model, Arena arena, int[] sample, Precision precision)
    {
        using ComputeScope scope = new(arena, recordGradients: true) { Precision = precision };
        ModelInput input = ModelInput.Single(scope, sample) with { Checkpoint = true };
        int[] targets = [.. sample[1..], CrossEntropy.Ignored];
        scope.Backward(model.Loss(scope, input, scope.From(targets, input.Ids.Shape), normalizer: 1));
    }
}
