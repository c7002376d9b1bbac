using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Kernels.Tests;

public sealed class DistillationKernelsTests : KernelTest
{
    [Fact]
    public void KullbackLeibler_GivenALaterChunk_ShouldWriteItsTokensAlone()
    {
        Shape shape = new(2, 300);
        (Tensor logits, Tensor targets, Tensor divergences) = (Host(shape, 1), Host(shape, 2), Host(new(5), 3));
        (Tensor gpuLogits, Tensor gpuDivergences) = (Device(logits), Device(divergences));

        Gpu.KullbackLeiblerForwardBackward(gpuLogits, Device(targets), 2, 3f, gpuDivergences);

        Cpu.KullbackLeiblerForwardBackward(logits, targets, 2, 3f, divergences);
        Close(logits, gpuLogits, 1e-6);
        Close(divergences, gpuDivergences);
    }

    [Theory]
    [FastData(Precision.Float32, false)]
    [FastData(Precision.BFloat16, false)]
    [FastData(Precision.Float32, true)]
    public void ScaleGradient_GivenMoreRowsThanAStrip_ShouldMatchTheCpu(Precision precision, bool hasBook)
    {
        (int tokens, int outDim, int inDim) = (5, 133, 40);
        using QuantizedMatrix weight = Weight(outDim, inDim, hasBook);
        (Tensor dy, Tensor x) = (Host(new(tokens, outDim), 1), Host(new(tokens, inDim), 2));
        Tensor dScales = Host(new(outDim, weight.Groups), 3);
        Tensor gpuScales = Device(dScales);
        long strip = Gpu.StripElements;
        Gpu.StripElements = 1;     // one tile of 128 rows, and a short one

        Gpu.ScaleGradient(Device(dy), Device(x), weight, gpuScales, precision);

        Gpu.StripElements = strip;
        Cpu.ScaleGradient(dy, x, weight, dScales, precision);
        Close(dScales, gpuScales, 2e-5);
    }

    [Fact]
    public void ScaleDistillation_GivenADevice_ShouldSayThatItTakesTheCpu()
    {
        using LlamaModel model = TinyModel.Create();

        UserErrorException error = Assert.Throws<UserErrorException>(
            () => ScaleDistillation.Run(model, model, Gpu, [[1, 2], [3, 4]], new DistillationOptions { Steps = 1 }));

        Assert.Contains("--device cpu", error.Message, StringComparison.Ordinal);
    }

    private static QuantizedMatrix Weight(int outDim, int inDim, bool hasBook)
    {
        Random random = new(4);
        int groups = (inDim + 15) / 16;
        float[] scales = Seeded.Floats(outDim * groups, 5);
        byte[] codes = [.. Enumerable.Range(0, outDim * inDim).Select(_ => (byte)random.Next(16))];
        byte[] zeros = [.. Enumerable.Range(0, outDim * groups).Select(_ => (byte)random.Next(16))];
        return hasBook
            ? QuantizedMatrix.FromStream(outDim, inDim, 16, codes.AsSpan(0, outDim * inDim / 2), scales, CodeBook.NormalFloat4)
            : QuantizedMatrix.FromCodes(outDim, inDim, 4, 16, codes, scales, zeros);
    }
}
