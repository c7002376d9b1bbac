using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

public sealed class CrossEntropyKernelsTests : KernelTest
{
    private const int Vocabulary = 300;

    private readonly Tensor _labels = Tensor.From([7, CrossEntropy.Ignored, 299, 0, CrossEntropy.Ignored, 12], new(6));

    [Fact]
    public void CrossEntropy_GivenIgnoredTokens_ShouldMatchTheCpu()
    {
        (Tensor logits, Tensor rows, Tensor logSumExp, Tensor losses) = (Host(new(3, Vocabulary), 1), Tensor.Create(new(6), DataType.Int32), Tensor.Create(new(6)), Tensor.Create(new(6)));
        (Tensor loss, Tensor dLoss) = (Tensor.Create(new(1)), Tensor.From([0.7f], new(1)));
        (Tensor gpuLogits, Tensor gpuAtOnce, Tensor gpuRows) = (Device(logits), Device(logits), Device(rows));
        (Tensor gpuLogSumExp, Tensor gpuLosses, Tensor gpuOther) = (Device(logSumExp), Device(losses), Device(losses));
        (Tensor gpuLabels, Tensor gpuLoss) = (Device(_labels), Unwritten(new(1)));
        long count = Cpu.CrossEntropyRows(_labels, Vocabulary, rows);
        Cpu.CrossEntropyForward(Host(logits.Shape, 1), _labels, rows, 1, logSumExp, losses);      // leaves no logits behind
        Cpu.CrossEntropySum(losses, 3f, loss);
        Cpu.CrossEntropyBackward(logits, _labels, rows, 1, logSumExp, dLoss, 3f);

        Assert.Equal(count, Gpu.CrossEntropyRows(gpuLabels, Vocabulary, gpuRows));
        Gpu.CrossEntropyForward(gpuLogits, gpuLabels, gpuRows, 1, gpuLogSumExp, gpuLosses);
        Gpu.CrossEntropySum(gpuLosses, 3f, gpuLoss);
        Gpu.CrossEntropyBackward(gpuLogits, gpuLabels, gpuRows, 1, gpuLogSumExp, Device(dLoss), 3f);
        Gpu.CrossEntropyForwardBackward(gpuAtOnce, gpuLabels, gpuRows, 1, 3f / 0.7f, gpuOther);

        Close(logSumExp, gpuLogSumExp);
        Close(losses, gpuLosses);
        Close(losses, gpuOther);
        Close(loss, gpuLoss);
        Close(logits, gpuLogits, 1e-6);
        Close(logits, gpuAtOnce, 1e-6);
    }

    [Fact]
    public void CrossEntropyRows_GivenALabelOutsideTheVocabulary_ShouldSayWhich()
    {
        ArgumentOutOfRangeException error = Assert.Throws<ArgumentOutOfRangeException>(() => Gpu.CrossEntropyRows(Device(_labels), 12, Unwritten(new(6), DataType.Int32)));

        Assert.Contains("token 2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CrossEntropyGather_GivenRows_ShouldPickAndAddThemBack()
    {
        (Tensor hidden, Tensor chunk) = (Host(new(6, 5), 1), Tensor.Create(new(2, 5)));
        Tensor rows = Tensor.From([0, 2, 5, 0, 0, 0], new(6));
        (Tensor gpuHidden, Tensor gpuRows, Tensor gpuChunk) = (Device(hidden), Device(rows), Unwritten(chunk.Shape));
        Cpu.CrossEntropyGather(hidden, rows, 1, chunk);
        Cpu.CrossEntropyScatter(chunk, rows, 1, hidden);

        Gpu.CrossEntropyGather(gpuHidden, gpuRows, 1, gpuChunk);
        Gpu.CrossEntropyScatter(gpuChunk, gpuRows, 1, gpuHidden);

        Close(chunk, gpuChunk, 0);
        Close(hidden, gpuHidden, 0);
    }
}
