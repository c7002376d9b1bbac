namespace PureQLora.Models;

/// <summary>How a GPTQ checkpoint stores its zero points.</summary>
public enum GptqFormat
{
    /// <summary>"gptq": one less than the zero point. Every loader reads it.</summary>
    V1,

    /// <summary>"gptq_v2": the zero point itself.</summary>
    V2,
}
