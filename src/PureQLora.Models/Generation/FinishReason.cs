namespace PureQLora.Models;

/// <summary>Why a generated text ends where it does.</summary>
public enum FinishReason
{
    /// <summary>The model wrote a stop token or a stop string.</summary>
    Stop,

    /// <summary>As many tokens as were allowed, or as the model has positions for.</summary>
    Length,

    /// <summary>The caller cancelled; the text is what there was until then.</summary>
    Cancelled,
}
